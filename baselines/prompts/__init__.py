"""What chat models and endpoints are asked: prompts by kind of answer, in a TOML file that a user may replace.

`prompt_file` reads such a file, `prompt` fills one in for a sample; `builtin.toml` is the file of the tool itself
(`bench list prompts --format toml` prints it). What a model has said is read by `harness.text.said_option`.
"""
