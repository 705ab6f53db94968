"""Requests to AWS, signed (Signature Version 4) by botocore's own signer.

Needs the extra `bedrock`; botocore is loaded when a provider that signs is made. Where keys are not given,
they come from where AWS's tools look: a profile, a container, the machine's role; those are fetched in a
thread and renewed by botocore.
"""

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from greenroom.errors import UpstreamAuth

INSTALL = "pip install botocore"


def is_installed() -> bool:
    """Whether botocore is there. Imports nothing."""
    return find_spec("botocore") is not None


class Signer:
    """Signs requests to Bedrock in one region. No key leaves it but inside a signature."""

    def __init__(
        self, region: str, *, access_key: str | None = None, secret_key: str | None = None,
        session_token: str | None = None, profile: str | None = None,
    ) -> None:  # fmt: skip
        self._auth: Any = import_module("botocore.auth")  # Any: of an optional library
        self._request: Any = import_module("botocore.awsrequest").AWSRequest
        self._region = region
        self._session: Any = None
        self._found: Any = None
        if access_key is not None and secret_key is not None:
            made = import_module("botocore.credentials").Credentials(access_key, secret_key, session_token)
            self._found = made
        else:
            self._session = import_module("botocore.session").Session(profile=profile)

    async def headers(self, url: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        """The headers of a POST with those that sign it. Raises UpstreamAuth where there are no keys."""
        keys = self._found
        if self._session is not None:
            keys = await asyncio.to_thread(self._keys)
        if keys is None:
            raise UpstreamAuth("No AWS keys were found: none given, none in a profile, none of this machine.")
        request = self._request(method="POST", url=url, data=body, headers=headers)
        self._auth.SigV4Auth(keys, "bedrock", self._region).add_auth(request)
        return dict(request.headers.items())

    def _keys(self) -> Any:  # Any: of an optional library
        core = import_module("botocore.exceptions")
        try:
            found = self._session.get_credentials()
            return None if found is None else found.get_frozen_credentials()
        except core.BotoCoreError:
            return None  # its message may hold what a profile says
