"""What has to come of a case, as functions that are put together: each returns what is wrong, or `None`."""

from collections.abc import Callable

from conformance.case import Judge, Seen
from conformance.upstream import Request
from conformance.wire import LATE

Check = Callable[[Request], str | None]


def refused(*statuses: int) -> Judge:
    """Nothing reached the upstream, and the connection ended: nobody can say where a next request would
    begin. Without `statuses`, any refusal will do, and so does closing without a word."""

    def judge(seen: Seen) -> str | None:
        if seen.requests:
            return f"{len(seen.requests)} forwarded"
        if seen.is_sentinel_seen:
            return "read on after what it refused"
        if seen.end == LATE:
            return "the connection stays open"
        return _refusal(seen, statuses)

    return judge


def refused_politely(*statuses: int) -> Judge:
    """Nothing of the request reached the upstream; the connection may go on."""

    def judge(seen: Seen) -> str | None:
        if seen.requests:
            return f"{len(seen.requests)} forwarded"
        return _refusal(seen, statuses)

    return judge


def _refusal(seen: Seen, statuses: tuple[int, ...]) -> str | None:
    status = seen.first.status if seen.first else None
    if statuses and status not in statuses:
        return f"{status}, not {' or '.join(map(str, statuses))}"
    if status is not None and not (400 <= status < 500 or status in (501, 505)):
        return f"{status} is no refusal"
    return None


def forwarded(
    *checks: Check,
    body: bytes | None = None,
    times: int = 1,
    status: int = 200,
    is_kept: bool = True,
) -> Judge:
    """As many requests reached the upstream, whole and in order; `checks` look at each."""

    def judge(seen: Seen) -> str | None:
        if not seen.first or seen.first.status != status:
            return f"not answered by {status}"
        if len(seen.requests) != times:
            return f"{len(seen.requests)} requests forwarded, not {times}"
        for request in seen.requests:
            if not request.is_whole:
                return "forwarded without its end"
            if body is not None and request.body != body:
                return f"the body became {request.body[:40]!r}"
            problem = next((p for check in checks if (p := check(request))), None)
            if problem:
                return problem
        if is_kept and not seen.is_sentinel_seen:
            return "the request after it was not served"
        return None

    return judge


def closed_after(judge: Judge) -> Judge:
    """As `judge`, and no request after it is served on the connection."""

    def both(seen: Seen) -> str | None:
        if seen.is_sentinel_seen or seen.end == LATE:
            return "the connection stays open"
        return judge(seen)

    return both


def either(*judges: Judge) -> Judge:
    """One of them is content; else what the last one says."""

    def judge(seen: Seen) -> str | None:
        said = [one(seen) for one in judges]
        return None if None in said else said[-1]

    return judge


def every(*judges: Judge) -> Judge:
    def judge(seen: Seen) -> str | None:
        return next((said for one in judges if (said := one(seen))), None)

    return judge


def refused_or_clean(body: bytes | None = None) -> Judge:
    """Refused, or read in the one way that the standard allows and passed on without a doubt."""
    return either(refused(), forwarded(body=body, is_kept=False))


def answered(status: int, body: bytes | None = None, *, is_whole: bool = True) -> Judge:
    """The client gets this answer."""

    def judge(seen: Seen) -> str | None:
        first = seen.first
        if not first or first.status != status:
            return f"answered by {first.status if first else 'nothing'}, not {status}"
        if first.is_whole != is_whole:
            return "broken off" if is_whole else "a cut answer looks whole"
        if body is not None and first.body != body:
            return f"the body became {first.body[:40]!r}"
        return None

    return judge


def never_whole() -> Judge:
    """The client can tell that the answer is not what the upstream wanted to say: an error, or a break."""

    def judge(seen: Seen) -> str | None:
        first = seen.first
        if not first:
            return None if seen.end != LATE else "no answer in time"
        if first.status in (502, 504):
            return None
        if not first.is_whole:
            return None if first.end != LATE else "the client is left waiting"
        return "a broken answer looks whole"

    return judge


def bad_gateway() -> Judge:
    """Cyan's own word that the answer cannot be used, or the end of the connection."""

    def judge(seen: Seen) -> str | None:
        if seen.first is None and seen.end != LATE:
            return None
        return None if seen.first and seen.first.status == 502 else "passed on"

    return judge


def has(name: str, *wanted: bytes) -> Check:
    """The upstream sees exactly these values of a header, in this order."""

    def check(request: Request) -> str | None:
        found = request.values(name)
        return None if found == list(wanted) else f"{name}: {found}"

    return check


def lacks(*names: str) -> Check:
    """The upstream sees none of these headers."""

    def check(request: Request) -> str | None:
        there = [name for name in names if request.values(name)]
        return f"passed on: {', '.join(there)}" if there else None

    return check


def target(wanted: bytes) -> Check:
    """The upstream sees this target."""

    def check(request: Request) -> str | None:
        return None if request.target == wanted else f"the target became {request.target!r}"

    return check


def line(wanted: bytes) -> Check:
    """The upstream sees a request line that begins so."""

    def check(request: Request) -> str | None:
        return None if request.line.startswith(wanted) else f"the line became {request.line!r}"

    return check


def client_sees(name: str, *wanted: bytes) -> Judge:
    """The client sees exactly these values of a header."""

    def judge(seen: Seen) -> str | None:
        found = seen.first.values(name) if seen.first else []
        return None if found == list(wanted) else f"{name}: {found}"

    return judge


def noted(name: str, wanted: object = True) -> Judge:
    """A case that drives by itself has noted this."""

    def judge(seen: Seen) -> str | None:
        found = seen.notes.get(name)
        return None if found == wanted else f"{name}: {found}"

    return judge
