"""What a reader says of a file that it cannot read."""

__all__ = ["UnreadableError"]


class UnreadableError(Exception):
    """A file that goes to the quarantine as a whole.

    Args:
        reason: Why, as the end of a sentence that begins with the file.
        remedy: What would let it in, a sentence.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy
