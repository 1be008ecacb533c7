"""HTTP/2 from clients: heads, frames and their order, translation to HTTP/1.1, and floods.

The proxy listens in plain text and is spoken to by prior knowledge. A malformed request may be answered
by 400, or its stream or connection reset; what counts is that nothing of it reaches the upstream.
"""

from conformance.cases.h2 import broken_frames, connections, floods, heads, messages

CASES = [*heads.CASES, *messages.CASES, *broken_frames.CASES, *connections.CASES, *floods.CASES]
