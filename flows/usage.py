"""What is a mistake in the command itself, before anything was started: exit code 2."""


class UsageError(Exception):
    """The command or the study is wrong: nothing was started."""
