"""The one exception that users are meant to read."""

__all__ = ["UserError"]


class UserError(Exception):
    """Something that the user can put right.

    The message names the file or configuration key that is at fault and the remedy. Jobs print it
    without a traceback.
    """
