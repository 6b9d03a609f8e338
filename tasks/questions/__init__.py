"""Questions about images with short answers: what is asked of Scenes and of files, and how answers are scored."""
