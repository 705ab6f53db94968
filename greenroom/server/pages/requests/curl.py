"""A stored request as a command that asks it again."""

import msgspec

_LONGEST = 64_000


def curl(body: str, origin: str) -> str:
    """Return the command; empty where the body is none or too long for one. The key is named, never shown."""
    if len(body) > _LONGEST:
        return ""
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return ""
    quoted = body.replace("'", "'\\''")
    return (
        f"curl {_word(origin + '/v1/chat/completions')} \\\n"
        '  -H "authorization: Bearer $GREENROOM_KEY" \\\n'
        "  -H 'content-type: application/json' \\\n"
        f"  -d '{quoted}'"
    )


def _word(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
