"""Models behind an OpenAI-compatible endpoint: `--model api:URL#MODEL`.

`model` names one, `learner` asks it, `transport` sends requests, `probe` finds out beforehand what the server does.
"""
