"""Training: recipes, preparation, the loop, and saving and resuming."""
