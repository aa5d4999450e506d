"""The vllm provider: its constraints and scores over real HTTP, and the server it starts as a real child process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from anserdb.engine.errors import BindError, ModelUnavailable
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Generate, JsonAnswer, ModelSpec
from anserdb.udfs.models.chat_format import Dialect
from anserdb.udfs.models.chat_model import ChatModel
from anserdb.udfs.models.http_errors import Endpoint
from anserdb.udfs.models.http_transport import HttpTransport
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.models.vllm import BACKEND, Served
from anserdb.udfs.models.vllm_server import ServerProcess, vllm_command
from tests.support.loopback import LoopbackServer

LABELS = ("bug", "praise", "question")
LOOPBACK = Path(__file__).parents[1] / "support" / "loopback.py"


def connect(server: LoopbackServer, **options: Any) -> ChatModel:
    model = BACKEND.create(ModelSpec("v", "vllm", {"base_url": server.base_url, "model": "m", **options}))
    assert isinstance(model, ChatModel)
    return model


async def test_choices_are_constrained_and_scored() -> None:
    request = Generate("", "a text", ChoiceAnswer(LABELS, scores=True))
    expected = await ScriptedModel().call(request)
    async with LoopbackServer() as server:
        model = connect(server)
        reply = await model.call(request)
        await model.close()
    assert reply.text == expected.text
    assert reply.scores == pytest.approx(expected.scores)
    (body,) = server.stats.bodies
    assert body["structured_outputs"] == {"choice": list(LABELS)}
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    assert "response_format" not in body


async def test_scores_that_a_first_token_cannot_tell_apart_are_not_given() -> None:
    request = Generate("", "a text", ChoiceAnswer(("positive", "possible"), scores=True))

    async with LoopbackServer(answer=lambda body: {"pos": -0.1, "neg": -3.0}) as server:
        model = connect(server)
        reply = await model.call(Generate("", "x", ChoiceAnswer(("pos", "neg"), scores=True)))
        assert reply.scores == pytest.approx({"pos": -0.1, "neg": -3.0})
        await model.close()
    tops = [{"token": "pos", "logprob": -0.1}, {"token": "xyz", "logprob": -4.0}]
    token = {"token": "positive", "logprob": -0.1, "top_logprobs": tops}
    served = {"choices": [{"message": {"content": "positive"}, "logprobs": {"content": [token]}}]}
    dialect = Dialect("m", "structured_outputs", scores=True)
    assert dialect.read(request, served, 0.0).scores is None


async def test_json_and_patterns_use_vllm_s_own_fields() -> None:
    pattern = json.dumps({"type": "string", "pattern": "^[0-9]{4}$"})
    async with LoopbackServer(
        answer=lambda body: "2024" if "regex" in body["structured_outputs"] else '{"value": 7}'
    ) as server:
        model = connect(server)
        assert (await model.call(Generate("", "x", JsonAnswer('{"type": "integer"}')))).text == "7"
        assert (await model.call(Generate("", "x", JsonAnswer(pattern)))).text == '"2024"'
        await model.close()
    first, second = (body["structured_outputs"] for body in server.stats.bodies)
    assert first["json"]["properties"] == {"value": {"type": "integer"}}
    assert second == {"regex": "[0-9]{4}"}


async def test_an_older_server_is_asked_the_openai_way() -> None:
    async with LoopbackServer(reject=("structured_outputs",)) as server:
        model = connect(server)
        expected = (await ScriptedModel().call(Generate("", "x", ChoiceAnswer(LABELS)))).text
        assert (await model.call(Generate("", "x", ChoiceAnswer(LABELS)))).text == expected
        await model.close()
    assert server.stats.bodies[-1]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("options", [{}, {"serve": "a/model", "base_url": "http://127.0.0.1:1/v1"}])
def test_exactly_one_of_serve_and_base_url(options: dict[str, Any]) -> None:
    with pytest.raises(BindError, match="exactly one"):
        BACKEND.create(ModelSpec("v", "vllm", options))


# --- the child --------------------------------------------------------------------------------------------------------


def simulator(port: int) -> Sequence[str]:
    return [sys.executable, str(LOOPBACK), "--port", str(port), "--forever"]


def served(server: ServerProcess) -> Served:
    def connect_to(address: str) -> ChatModel:
        transport = HttpTransport(Endpoint("v", "m", address, "VLLM_API_KEY"), timeout_s=30, connections=4)
        return ChatModel("vllm:test", Capabilities(), transport, Dialect("m", "structured_outputs", scores=True))

    return Served("vllm:test", Capabilities(), server, connect_to)


def alive(pid: int) -> bool:
    """Whether the process runs (one that ended but was not waited for does not count)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_the_server_is_started_at_the_first_call_and_stopped_by_close() -> None:
    process = ServerProcess("v", simulator, start_timeout_s=60)
    model = served(process)
    request = Generate("", "a text", ChoiceAnswer(LABELS))
    first = await model.call(request)
    pid = process.pid
    assert pid is not None
    assert os.getpgid(pid) == pid != os.getpgrp()
    await model.call(request)
    assert process.pid == pid  # one server, not one per call
    await model.close()
    await model.close()
    assert first.text == (await ScriptedModel().call(request)).text
    assert not alive(pid)
    assert process.pid is None


async def test_a_child_that_exits_early_shows_the_end_of_its_log() -> None:
    code = "import sys; print('x' * 5000); print('no GPU and no luck, key sk-abcdef123456'); sys.exit(3)"
    process = ServerProcess("v", lambda port: [sys.executable, "-c", code], start_timeout_s=60)
    with pytest.raises(ModelUnavailable) as caught:
        await served(process).call(Generate("", "x"))
    assert "exited with code 3" in str(caught.value)
    assert "no GPU and no luck, key [key hidden]" in str(caught.value)
    assert len(str(caught.value)) < 3000
    assert not caught.value.retryable
    assert process.pid is None


async def test_a_child_that_never_gets_ready_is_killed() -> None:
    pids: list[int | None] = []

    class Watched(ServerProcess):
        def kill(self) -> None:
            pids.append(self.pid)
            super().kill()

    process = Watched("v", lambda port: [sys.executable, "-c", "import time; time.sleep(600)"], start_timeout_s=0.2)
    with pytest.raises(ModelUnavailable, match="raise start_timeout_s"):
        await process.start()
    assert pids[0] is not None
    assert not alive(pids[0])


async def test_an_interpreter_that_does_not_exist_is_named() -> None:
    model = BACKEND.create(ModelSpec("v", "vllm", {"serve": "a/model", "python": "/no/such/python"}))
    with pytest.raises(ModelUnavailable, match="Set the option python"):
        await model.call(Generate("", "x"))
    await model.close()


async def test_an_interpreter_without_vllm_is_told_so() -> None:
    model = BACKEND.create(ModelSpec("v", "vllm", {"serve": "a/model", "start_timeout_s": 60.0}))
    assert model.capabilities.local
    assert model.identity == "vllm:a/model:a/model"
    with pytest.raises(ModelUnavailable, match="No module named 'vllm'"):
        await model.call(Generate("", "x"))
    await model.close()


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_the_child_dies_with_the_interpreter_that_started_it(end: str) -> None:
    code = f"""
import asyncio, os, signal, sys
from anserdb.udfs.models.vllm_server import ServerProcess
server = ServerProcess("v", lambda port: [sys.executable, {str(LOOPBACK)!r}, "--port", str(port), "--forever"])
asyncio.run(server.start())
print(server.pid, flush=True)
{end}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == (-signal.SIGKILL if end else 0), done.stderr
    deadline = time.monotonic() + 60
    while alive(int(done.stdout)) and time.monotonic() < deadline:  # the guard works while we look
        time.sleep(0.05)
    assert not alive(int(done.stdout))


def test_the_command_line_takes_more_arguments() -> None:
    command = vllm_command("org/model", "served", python="/opt/python", extra="--dtype float32 --seed '1'")(8001)
    assert command[:3] == ["/opt/python", "-m", "vllm.entrypoints.openai.api_server"]
    assert command[-4:] == ["--dtype", "float32", "--seed", "1"]
    assert ("--port", "8001") in pairwise(command)
