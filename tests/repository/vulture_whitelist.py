"""What vulture cannot see in use: read by vulture itself, never run. Each entry says what reaches it."""

# mypy: ignore-errors
# ruff: noqa: B018, F821

# Set on objects of other libraries, or called by them.
_.num_embeddings, _.padding_idx  # torch.nn.Embedding
_.padding_side  # a tokenizer of transformers
_.writeable  # numpy's flags
_.padding_side  # tokenizers of transformers
_.StartDoctypeDeclHandler  # expat
_.find_class  # pickle.Unpickler
_.capture_signals, _.should_exit  # uvicorn.Server
_.__signature__, _.format_options  # inspect, typer

# Commands, which typer calls by their decorator.
_.list_, _.doctor, _.monitor

# Fields that leave as JSON, by `asdict`: records, training logs, provenance, `bench robustness --format json`.
_.schema_version
_.best_step, _.final_loss
_.p90, _.p99
_.corrected, _.interaction, _.worst_groups, _.interpretable
_.alike_high
_.physical_cores, _.usable_cores, _.workload_p50_seconds
_.driver, _.sm_clock_mhz, _.memory_clock_mhz, _.power_limit_watts

# Options that are read through what they declare (`configured_settings`).
_.metric_engine, _.perturb_scale, _.no_measure, _.test_lexicon

# For plugins to write answers by; the harness itself reads them as JSON.
_.CaptionAnswer, _.ChoiceAnswer, _.BoxAnswer, _.MapAnswer

# Members of judged answers, which metrics ask for by name (`JudgedQuestions.marks`).
_.said_yes, _.yes_score, _.is_prior

# Rows as they are before they are ranked, which tests look at alone; tables go on with `rows_of_table`.
_.build_rows

# Protocols' methods, and a module's own attribute access.
_.__call__, _.__getattr__

# tasks/scenes/ stays as it is to the byte: its files are the digest of the data set.
_.CAPTIONS_PER_IMAGE, _.POSES, _.BADGES, _.RELATIONS, _.PLANS

# Settings of torch's compiler.
_.compile_threads
