"""Parts of models as somebody outside would write them."""
