"""What is done to images and texts before a trained model sees them: corruptions, movements, other words, attacks."""
