"""Names to objects: the one place where concrete meets concrete.

Reads the configuration, the environment and the data folder once, and builds the house: stores, providers,
models, apps, gateway. Nothing else reads the environment.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from time import perf_counter_ns
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.json import encode

from greenroom import config as configuration
from greenroom.config import AppConfig, Config, ModelConfig, ProviderConfig, decode_table
from greenroom.contracts import PostStep, Step, StepConfig
from greenroom.errors import ConfigError, GreenroomError
from greenroom.exchange import Caller, Exchange
from greenroom.gateway.access import Access, Key
from greenroom.gateway.gateway import Gateway
from greenroom.gateway.pipeline import App, PostEntry, StepEntry
from greenroom.gateway.record import to_record
from greenroom.gateway.recorder import Recorder
from greenroom.gateway.rooms import Rooms
from greenroom.grounding.index import AsyncSearch, DocumentIndex
from greenroom.models.catalog import PROVIDERS, context_window
from greenroom.models.connection import Limits, Pool, Proxies
from greenroom.models.dispatch import Dispatch, Target
from greenroom.models.prices import PriceBook
from greenroom.models.providers import Anthropic, BuiltIn, OpenAICompatible, Provider
from greenroom.models.reader import Reader
from greenroom.stages.check.pii import Pii, PiiConfig, PiiDetector
from greenroom.stages.check.secrets import SecretDetector, Secrets, SecretsConfig
from greenroom.stages.ground.documents import Documents, DocumentsConfig
from greenroom.stages.ground.history import History, HistoryConfig
from greenroom.stages.language import detect
from greenroom.stages.postprocess.cite import Cite, CiteConfig
from greenroom.stages.postprocess.decode import Decode, DecodeConfig
from greenroom.stages.postprocess.guard import Guard, GuardConfig
from greenroom.stages.postprocess.unmask import Unmask, UnmaskConfig
from greenroom.stages.preprocess.clean import Clean, CleanConfig
from greenroom.stages.preprocess.fit import Fit, FitConfig
from greenroom.store.keys import KeyRow, KeyStore
from greenroom.store.traces import TraceStore
from greenroom.store.turns import StoredTurns

log = logging.getLogger("greenroom.assembly")
