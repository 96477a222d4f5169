"""The `encryption` section of `langgraph.json`, and the key that is its simple alternative."""

from __future__ import annotations

import warnings as python_warnings
from typing import Any

from ..errors import SettingsError
from ..models.vault import NoVault, Vault
from ..settings import Settings
from .operator_code import load_operator_code
from .project import Project
from .sections import Section, key_warnings, read_section


class _Encryption(Section):
    path: str | None = None


def encryption_vault(project: Project, settings: Settings, warnings: list[str]) -> Vault:
    """What is sealed, and with what.

    Raises:
        SettingsError: the key or the handlers cannot be used.
    """
    from ..sealing import AesVault, HandlerVault

    section = read_section(_Encryption, project.encryption, name="encryption", path=project.path)
    warnings += key_warnings(section, name="encryption")
    json_keys = [key.strip() for key in settings.aes_json_keys.split(",") if key.strip()]
    if json_keys and settings.aes_key is None:
        raise SettingsError("aes_json_keys names keys of JSON to encrypt, but there is no aes_key to do it with.")
    vault = NoVault() if settings.aes_key is None else AesVault(settings.aes_key, json_keys=json_keys)
    return vault if section.path is None else HandlerVault(_handlers(section.path, project), beside=vault)


def _handlers(path: str, project: Project) -> Any:
    from langgraph_sdk.encryption import Encryption

    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")  # the SDK says of each such object that it may change
        found = load_operator_code(path, key="encryption.path", project=project)
    if not isinstance(found, Encryption):
        raise SettingsError(f"encryption.path must name an Encryption object, not a {type(found).__name__}.")
    return found
