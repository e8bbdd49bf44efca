"""Plot style and the parts that figures share."""
