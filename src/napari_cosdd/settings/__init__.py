"""Every setting: of the training, of the prediction; pydantic only."""
