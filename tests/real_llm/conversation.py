"""Chat answers, whole and streamed, with what a test wants to know about each."""

import time
from dataclasses import dataclass, field

from openai import AsyncOpenAI, AsyncStream, OpenAI

PROMPT = [{"role": "user", "content": "Tell me about yourself."}]

LONG = 600
"""Tokens of an answer that still runs while a test changes something: seconds, not moments."""


@dataclass
class Answer:
    """A whole answer."""

    environment: str | None
    text: str
    finish_reason: str | None
    usage: dict


def ask(
    client: OpenAI, user: str | None = None, tokens: int = 24, content: str = "Hello."
) -> Answer:
    """One answer that is not streamed."""
    headers = {"x-user-id": user} if user else {}
    raw = client.chat.completions.with_raw_response.create(
        model="any",
        messages=[{"role": "user", "content": content}],
        max_tokens=tokens,
        temperature=0,
        extra_headers=headers,
    )
    answer = raw.parse()
    return Answer(
        raw.headers.get("x-deployment"),
        answer.choices[0].message.content,
        answer.choices[0].finish_reason,
        answer.usage.model_dump(exclude={"prompt_tokens_details"}),
    )


@dataclass
class Stream:
    """A streamed answer that a test reads piece by piece."""

    environment: str | None
    events: AsyncStream
    text: str = ""
    finish_reason: str | None = None
    pieces: int = 0
    last_piece_at: float = field(default_factory=time.monotonic)

    @classmethod
    async def open(cls, client: AsyncOpenAI, user: str, tokens: int = LONG) -> "Stream":
        """Asks for an answer of exactly `tokens` tokens; returns when its head is there."""
        raw = await client.chat.completions.with_raw_response.create(
            model="any",
            messages=PROMPT,
            max_tokens=tokens,
            temperature=0,
            stream=True,
            extra_headers={"x-user-id": user},
            extra_body={"ignore_eos": True},
        )
        return cls(raw.headers.get("x-deployment"), raw.parse())

    async def read(self, pieces: int) -> "Stream":
        """Reads until `pieces` pieces of content are there."""
        while self.pieces < pieces:
            if not await self._step():
                raise AssertionError(f"ended after {self.pieces} pieces: {self.finish_reason}")
        return self

    async def read_all(self) -> "Stream":
        """Reads to the end. Raises what the client raises when the end is not a clean one."""
        while await self._step():
            pass
        return self

    async def close(self) -> None:
        """Leaves before the answer is whole."""
        await self.events.close()

    async def _step(self) -> bool:
        try:
            event = await anext(self.events)
        except StopAsyncIteration:
            return False
        for choice in event.choices:
            if choice.delta.content:
                self.text += choice.delta.content
                self.pieces += 1
                self.last_piece_at = time.monotonic()
            self.finish_reason = choice.finish_reason or self.finish_reason
        return True
