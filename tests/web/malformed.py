"""Requests as nobody should send them: made by chance, the same for the same seed."""

from __future__ import annotations

import base64
import io
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

from PIL import Image as Pillow

PARTS = Path(__file__).parents[2] / "edge_app" / "demo" / "parts"

_UPLOAD = b"POST /predict HTTP/1.1\r\n"


class Malformed:
    """Makes requests, one after the other, of all kinds in turn; whole but for `unfinished`.

    Args:
        seed: What chance begins with.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - dice
        self._pictures = _pictures()
        self._kinds: tuple[Callable[[], bytes], ...] = (
            self._multipart,
            self._json,
            self._base64,
            self._binary_tensor,
            self._picture,
            self._rows,
            self._address,
            self._http,
            self._unfinished,
        )

    def next(self) -> tuple[str, bytes]:
        """A kind's name and a request; it may be no HTTP at all."""
        kind = self._random.choice(self._kinds)
        return kind.__name__.strip("_"), kind()

    def _multipart(self) -> bytes:
        chance = self._random
        boundary = chance.choice(["edge", "", "e" * 70, 'a"b', "-" * 20])
        name = chance.choice(["image", "picture", "", "image" * 500, "im\\age", "é"])
        file = chance.choice(["a.jpg", "", "../../x", "n" * 3000])
        lines = [
            f"--{boundary}",
            f'Content-Disposition: form-data; name="{name}"; filename="{file}"',
            chance.choice(["Content-Type: image/jpeg", "Content-Type:", "X" * 2000, ""]),
            "",
        ]
        body = "\r\n".join(lines).encode() + b"\r\n" + self._spoilt(self._some_picture())
        body += chance.choice([f"\r\n--{boundary}--\r\n".encode(), b"", b"\r\n--", b"\r\n" * 50])
        if chance.random() < 0.2:
            body *= chance.randint(2, 40)
        kind = chance.choice(
            [f"multipart/form-data; boundary={boundary}", "multipart/form-data", "multipart/mixed"]
        )
        return _post(self._image_path(), self._spoilt(body, 0.3), kind)

    def _json(self) -> bytes:
        chance = self._random
        text = chance.choice(
            [
                "[" * chance.randint(1, 50_000),
                '{"input":' * chance.randint(1, 5000),
                json.dumps({"input": [[float("nan")] * chance.randint(1, 500)]}),
                json.dumps({"input": "x" * chance.randint(0, 10_000)}),
                json.dumps({"input": {f"t{n}": [n] for n in range(chance.randint(1, 300))}}),
                '{"input": [1e999, -1e999, 1e-999]}',
                '{"input": ' + "9" * chance.randint(1, 6000) + "}",
                '{"image": null, "input": null}',
                '{"a": 1, "a": 2}',
                json.dumps([[]] * chance.randint(1, 2000)),
                '"\\ud800"',
                "\x00\x01",
                "",
            ]
        )
        path = chance.choice(["/predict", "/v2/models/flange/infer", "/v1/models/flange:predict"])
        return _post(path, self._spoilt(text.encode(), 0.2), "application/json")

    def _base64(self) -> bytes:
        chance = self._random
        text = base64.b64encode(self._spoilt(self._some_picture())).decode()
        cut = text[: chance.randint(0, len(text))]
        value = chance.choice([cut, cut + "=", "data:image/png;base64," + cut, "*" + text, "A" * 5])
        value = chance.choice([value, value.replace("A", "é"), [value], {"b64": value}, 7])
        document = chance.choice([{"image": value}, {"instances": [{"b64": value}]}])
        path = "/predict" if "image" in document else "/v1/models/flange:predict"
        return _post(path, json.dumps(document).encode(), "application/json")

    def _binary_tensor(self) -> bytes:
        chance = self._random
        numbers = chance.randint(0, 3000)
        head = json.dumps(
            {
                "inputs": [
                    {
                        "name": chance.choice(["image", "input", ""]),
                        "shape": [chance.choice([-1, 0, 1, 96, 2**31, 2**63, 1.5, "1"])] * 4,
                        "datatype": chance.choice(["FP32", "INT8", "BYTES", "FP128", ""]),
                        "parameters": {
                            "binary_data_size": chance.choice([numbers, -1, 0, 2**40, "x"])
                        },
                    }
                ]
                * chance.randint(0, 3)
            }
        ).encode()
        claimed = chance.choice([len(head), 0, -1, len(head) * 2, 2**70, "head"])
        body = head + struct.pack("<I", chance.randint(0, 2**32 - 1)) * (numbers // 4)
        return _post(
            "/v2/models/flange/infer",
            self._spoilt(body, 0.2),
            "application/octet-stream",
            f"Inference-Header-Content-Length: {claimed}",
        )

    def _picture(self) -> bytes:
        content = self._spoilt(self._some_picture())
        return _post(self._image_path(), content, self._random.choice(["image/jpeg", "text/html"]))

    def _rows(self) -> bytes:
        chance = self._random
        value = chance.choice([[], [[]], [{}], [None], ["x"], [[1, [2]]], {"a": [1]}, 3, True])
        document = {chance.choice(["instances", "inputs", "row"]): value}
        if chance.random() < 0.3:
            document |= {"signature_name": chance.choice(["x" * 5000, None, []])}
        return _post("/v1/models/flange:predict", json.dumps(document).encode(), "application/json")

    def _address(self) -> bytes:
        chance = self._random
        path = chance.choice(
            [
                "/api/v1/inspections?limit=" + "9" * chance.randint(1, 400),
                "/api/v1/inspections?before_id=-1&verdict=%00",
                "/api/v1/inspections/" + "9" * chance.randint(1, 300),
                "/predict/" + "%2e%2e%2f" * chance.randint(1, 50),
                "/v2/models/%ff%fe/infer",
                "/" + "a" * chance.randint(1, 9000),
                "/api/v1/cameras/%0d%0aX:1/live.jpg",
                "/api/v1/export.csv?since=nan",
                "//etc/passwd",
                "/static/../../lineside.toml",
            ]
        )
        method = chance.choice(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
        return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode()

    def _http(self) -> bytes:
        chance = self._random
        return chance.choice(
            [
                chance.randbytes(chance.randint(1, 3000)) + b"\r\n\r\n",
                _UPLOAD + b"Content-Length: -1\r\n\r\n",
                _UPLOAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
                _UPLOAD + b"Transfer-Encoding: chunked\r\n\r\nno\r\nhex\r\n0\r\n\r\n",
                b"GET / HTTP/9.9\r\n" + b"A: b\r\n" * chance.randint(1, 3000) + b"\r\n",
                b"GET / HTTP/1.1\r\nHost: " + b"h" * chance.randint(1, 100_000) + b"\r\n\r\n",
                b"GET /health HTTP/1.1\r\n folded: header\r\n: nameless\r\n\r\n",
                b"GET http://elsewhere.example/ HTTP/1.1\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
                + chance.randbytes(200)
                + b"\r\n\r\n",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            ]
        )

    def _unfinished(self) -> bytes:
        """What a server has to wait for: the rest may come yet."""
        return self._random.choice(
            [
                _UPLOAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nzz",
                _UPLOAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
                _UPLOAD + b"Content-Length: 3000\r\n\r\n" + self._some_picture()[:2000],
                _UPLOAD[: self._random.randrange(1, len(_UPLOAD))],
            ]
        )

    def _image_path(self) -> str:
        paths = ["/predict", "/api/v1/inspections", "/v1/vision/detection", "/predict/flange"]
        return self._random.choice(paths)

    def _some_picture(self) -> bytes:
        return self._random.choice(self._pictures)

    def _spoilt(self, content: bytes, share: float = 0.9) -> bytes:
        """Cut off, with bytes changed, or with a piece doubled; whole now and then."""
        chance = self._random
        if not content or chance.random() > share:
            return content
        way = chance.randrange(3)
        if way == 0:
            return content[: chance.randrange(len(content))]
        spoilt = bytearray(content)
        if way == 1:
            for _ in range(chance.randint(1, 40)):
                spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        else:
            start = chance.randrange(len(spoilt))
            spoilt[start:start] = spoilt[start : start + chance.randint(1, 400)]
        return bytes(spoilt)


def _pictures() -> list[bytes]:
    """Of every kind that is taken, and one of the demo's parts."""
    found = [next(PARTS.glob("*.jpg")).read_bytes()]
    image = Pillow.effect_noise((64, 48), 60).convert("RGB")
    for kind in ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF"):
        buffer = io.BytesIO()
        image.save(buffer, kind)
        found.append(buffer.getvalue())
    return found


def _post(path: str, body: bytes, kind: str, *headers: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", *headers]
    head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n" + body
