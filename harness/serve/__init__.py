"""A trained model outside the benchmark: exported, served over HTTP, put under load, watched for drift."""
