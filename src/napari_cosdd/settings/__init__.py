"""The settings of training and prediction; imports pydantic only."""
