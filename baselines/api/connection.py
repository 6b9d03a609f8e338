"""The way to one model of one server: checked and probed when it is first needed, then asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baselines.api.address import Endpoint, EndpointError
from baselines.api.asker import Asker
from baselines.api.findings import NO, Findings
from baselines.api.probe import Probe
from baselines.api.replies import RequestFailed
from baselines.api.request_body import RequestBodies
from baselines.api.responses import KeptReplies
from baselines.api.secret import Secret
from baselines.api.settings import ApiSettings
from baselines.api.transport import Transport
from harness.errors import nearest

_PATIENCE_S = 10.0
"""A probe waits no longer for a server that is not there."""
_TELLING = ("id", "root", "parent", "owned_by", "max_model_len")
"""What tells one model of a server from another; the time at which it was listed does not."""
_PROBE_VERSION = 1


class Connection:
    """An endpoint that has shown what it does; raises EndpointError where it cannot be used."""

    def __init__(
        self, endpoint: Endpoint, secret: Secret, settings: ApiSettings, bodies: RequestBodies, cache: Path
    ) -> None:
        self._endpoint, self._settings, self._bodies = endpoint, settings, bodies
        self.transport = Transport(endpoint, secret, settings)
        try:
            self.server = self._identity()
            self._kept = KeptReplies(cache, endpoint, repr(sorted(self.server.items())))
        except RequestFailed as error:
            raise self._unusable(error) from None
        self.asker = Asker(self.transport, self._kept, settings)

    def probed(self, *, images: bool, wants_prompt: bool) -> Findings:
        """Probe, unless that was done within the hour; raises EndpointError for a server that drops images."""
        about = f"probe {_PROBE_VERSION} {images} {wants_prompt} {self._settings.top_logprobs} {self._bodies.members()}"
        key = self._kept.key(about.encode())
        known = self._kept.find_probe(key)
        if known is None:
            probe = Probe(self._send, self._bodies, self._settings.top_logprobs, images, wants_prompt)
            try:
                known = probe.run().to_json()
            except RequestFailed as error:
                raise self._unusable(error) from None
            self._kept.keep_probe(key, known)
        self.transport.forget_times()
        findings = Findings.from_json(known)
        if findings.reads_image == NO and self._settings.blind_server != "allowed":
            raise EndpointError(
                f"{self._endpoint.host} drops images: answers and counts of tokens are the same with an image, with "
                "another one and without. Serve a model that sees, with its image processor (and its template); "
                "--set model.blind_server=allowed runs it all the same, and its row says so."
            )
        return findings

    def _send(self, body: bytes, *, may_be_empty: bool = False) -> Mapping[str, Any]:
        return self.transport.ask(body, _PATIENCE_S, may_be_empty=may_be_empty)[0]

    def _identity(self) -> dict[str, Any]:
        """Say what the server tells of the model; nothing where it lists none. Raises EndpointError, RequestFailed."""
        listed = self.transport.models()
        if not listed:
            return {}
        found = next((entry for entry in listed if entry.get("id") == self._endpoint.model), None)
        if found is None:
            names = [str(entry.get("id")) for entry in listed]
            model = self._endpoint.model
            raise EndpointError(f"{self._endpoint.host} serves no model '{model}'. {nearest(model, names)}")
        return {name: found[name] for name in _TELLING if isinstance(found.get(name), str | int)}

    def _unusable(self, error: RequestFailed) -> EndpointError:
        return EndpointError(
            f"{self._endpoint.url} with the model '{self._endpoint.model}' cannot be asked: {error.reason}. Nothing "
            "was scored. Check the address, the name of the model and the key, and that the server runs."
        )
