"""What is measured: nginx, Greenroom and LiteLLM, each started in front of the mock and spoken to the same way.

Knows their configuration files and how long they take to answer; nothing of rounds or figures.
"""

import http.client
import json
import os
import secrets
import shutil
import sys
import time
from pathlib import Path

from msgspec import Struct

from benchmarks.processes import EnvironmentMissing, Running
from benchmarks.tools import free_port

NGINX_PLACES = ("/usr/sbin/nginx", "/usr/local/sbin/nginx", "/opt/homebrew/bin/nginx")

ALL_ON = {
    "preprocess": ["clean", "fit"],
    "ground": ["history", "entities"],
    "check": ["pii", "secrets", "injection", "offense"],
    "postprocess": ["decode", "guard", "unmask"],
}
"""The steps of the app "bench", in the order they run."""
ENGINES = {"entities": "patterns", "injection": "rules", "offense": "rules"}
"""Of the steps that have a choice."""
NAMES = {"bench": "all on", "raw": "pass-through", "kept": "kept answers"}
"""What the apps are called in tables."""


class Target(Struct, kw_only=True):
    """Something that answers chat completions on a loopback port."""

    name: str
    port: int
    running: Running
    key: str = "none"
    model: str = "mock"
    data: Path | None = None
    """Its data folder, if it stores anything."""
    first_answer_s: float = 0.0
    """From its start to its first 200 on a chat completion."""


def find_nginx() -> str | None:
    """The nginx of this machine, or None."""
    return shutil.which("nginx") or next((place for place in NGINX_PLACES if Path(place).exists()), None)


NGINX_CONF = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 4096; multi_accept on; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    client_body_buffer_size 64k;
    upstream mock {{ server 127.0.0.1:{mock_port}; keepalive 512; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering {buffering};
        }}
    }}
}}
"""


def start_nginx(folder: Path, mock_port: int, core: int, *, buffering: bool) -> Target:
    """nginx as a plain proxy, one worker, keep-alive on both sides. Raises: EnvironmentMissing."""
    binary = find_nginx()
    if binary is None:
        raise EnvironmentMissing("nginx is not installed.")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    conf = folder / "nginx.conf"
    text = NGINX_CONF.format(
        folder=folder, port=port, mock_port=mock_port, buffering="on" if buffering else "off"
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    conf.write_text(user + text, encoding="utf-8")
    argv = [binary, "-p", str(folder), "-c", str(conf), "-e", str(folder / "error.log")]
    target = Target(name="nginx", port=port, running=Running(argv, core, log=folder / "nginx.log"))
    await_answer(target)
    return target


def start_greenroom(
    folder: Path, mock_port: int, core: int, *, app: str, python: str = sys.executable, workers: int = 1
) -> Target:
    """A Greenroom of its own with the apps "bench" (all on), "raw" (pass-through) and "kept"; `app` is asked for.

    A folder used before is used again, data and all. Raises: EnvironmentMissing when it does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    conf = folder / "greenroom.toml"
    lists = "\n".join(f"{stage} = {json.dumps(steps)}" for stage, steps in ALL_ON.items())
    engines = "".join(f'[apps.bench.steps.{step}]\nengine = "{one}"\n\n' for step, one in ENGINES.items())
    conf.write_text(
        f'[server]\nhost = "127.0.0.1"\nport = {port}\nworkers = {workers}\n\n'
        f'[providers.mock]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:{mock_port}/v1"\n\n'
        f'[apps.bench]\nmodel = "mock/mock"\n{lists}\n\n'
        f"{engines}"
        f'[apps.raw]\nmodel = "mock/mock"\npipeline = "off"\n\n'
        f'[apps.kept]\nmodel = "mock/mock"\ncache = "exact"\n'
        + "".join(f"{stage} = []\n" for stage in ALL_ON),
        encoding="utf-8",
    )
    key_file = folder / "admin-key"
    if not key_file.exists():
        key_file.write_text("gr-bench-" + secrets.token_hex(16), encoding="utf-8")
    key = key_file.read_text(encoding="utf-8")
    data = folder / "data"
    running = Running(
        [python, "-m", "greenroom", "serve", "--config", str(conf)],
        core,
        log=folder / "greenroom.log",
        environment={"GREENROOM_ADMIN_KEY": key, "GREENROOM_DATA": str(data)},
    )
    name = f"Greenroom, {NAMES[app]}"
    target = Target(name=name, port=port, running=running, key=key, model=app, data=data)
    await_answer(target)
    return target


def start_litellm(folder: Path, binary: Path, mock_port: int, core: int) -> Target:
    """LiteLLM's proxy with one model at the mock, no database, no callbacks, its production mode."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    key = "sk-" + secrets.token_hex(16)
    conf = folder / "litellm.yaml"
    model = {
        "model_name": "mock",
        "litellm_params": {
            "model": "openai/mock",
            "api_base": f"http://127.0.0.1:{mock_port}/v1",
            "api_key": "none",
        },
    }
    # JSON is YAML as well.
    conf.write_text(
        json.dumps({"model_list": [model], "general_settings": {"master_key": key}}), encoding="utf-8"
    )
    running = Running(
        [
            str(binary),
            "--config",
            str(conf),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--num_workers",
            "1",
        ],
        core,
        log=folder / "litellm.log",
        environment={
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": key,
        },
        folder=folder,
    )
    target = Target(name="LiteLLM proxy", port=port, running=running, key=key)
    await_answer(target, limit_s=180)
    return target


def await_answer(target: Target, limit_s: float = 30.0) -> None:
    """Ask every 5 ms until a chat completion is answered with 200; notes the seconds since the start.

    Raises: EnvironmentMissing when the process ends or the limit passes.
    """
    said = "nothing"
    begun = target.running.started_at
    while target.running.alive() and time.monotonic() - begun < limit_s:
        said = ask(target)
        if said == "200":
            target.first_answer_s = time.monotonic() - begun
            return
        time.sleep(0.005)
    words = target.running.last_words()
    target.running.stop(5)
    raise EnvironmentMissing(f"{target.name} did not answer (last: {said}). It wrote:\n{words}")


def ask(target: Target) -> str:
    """One small chat completion; returns the status, or what went wrong and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=20)
    body = json.dumps({"model": target.model, "messages": [{"role": "user", "content": "Good morning."}]})
    try:
        connection.request(
            "POST",
            "/v1/chat/completions",
            body=body,
            headers={"Authorization": f"Bearer {target.key}", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        text = answer.read()
        return "200" if answer.status == 200 else f"{answer.status} {text[:300]!r}"
    except OSError as error:
        return error.__class__.__name__
    except http.client.HTTPException as error:
        return repr(error)
    finally:
        connection.close()
