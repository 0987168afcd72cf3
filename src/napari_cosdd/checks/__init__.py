"""Is a result right? What can be told without ground truth."""
