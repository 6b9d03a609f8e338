"""Chat models in a folder or on the Hugging Face hub: one class for all that transformers can load and template.

`model` names them and says what they are asked (no torch), `conversation` fills a chat template, `option_likelihood`
scores answers, `learner` puts both together.
"""
