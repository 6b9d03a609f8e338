"""A study: the runs that decide a task's claims, what they will cost here, and which verdicts they have firmed up."""
