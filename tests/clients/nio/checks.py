"""How the walk says what came out otherwise than the specification says."""

import nio


class Difference(Exception):
    """The server did something else than the specification says."""


def check(holds, what):
    if not holds:
        raise Difference(what)


def same(found, expected, what):
    check(found == expected, f"{what}: expected {expected!r}, found {found!r}")


def same_list(found, expected, what):
    """Names the first place where two lists differ."""
    for place, (one, other) in enumerate(zip(found, expected)):
        same(one, other, f"{what}: at {place} of {len(expected)}")
    same(len(found), len(expected), f"{what}: length")


def ok(response, kind, what):
    """The response, if it is the `kind` that nio makes of a success."""
    check(isinstance(response, kind), f"{what}: {response}")
    return response


def refused(response, code, what):
    """Checks that nio made an error with this Matrix code of the response."""
    check(isinstance(response, nio.ErrorResponse), f"{what}: expected {code}, found a {type(response).__name__}")
    same(response.status_code, code, what)
