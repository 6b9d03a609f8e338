"""The command `bench`: options, commands, messages; imports everything, and nothing imports it."""
