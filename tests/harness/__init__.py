"""What the tests in Python share: real processes on loopback, and Cyan among them."""
