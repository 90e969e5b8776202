"""Makes bundles of what runs left: the adapter as it is, merged into its base, or as one file for llama.cpp."""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from zhiku_platform.bundles import (
    ENGINE_ADAPTER,
    ENGINE_MODEL,
    Bundle,
    BundleForm,
    BundleManifest,
    digests_in,
    seal_bundle,
)
from zhiku_services.finetune.datasets.freezing import thaw
from zhiku_services.finetune.errors import NoTemplateError, NotExportableError
from zhiku_services.finetune.gguf_files import Dtype, write_adapter, write_model
from zhiku_services.finetune.recipe import RECIPE, Full, QLora, Reward, TrainRecipe
from zhiku_services.finetune.runs import Result, RunFolder

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_ADAPTER = ("adapter_model.safetensors", "adapter.safetensors", "adapter_config.json")
_MODEL = ("config.json", "generation_config.json")


def export(
    run: Path, target: Path, *, base: Path, engine_base: Path | None, form: BundleForm, dtype: Dtype, licence: str
) -> Bundle:
    """Make a bundle of a run's result in a folder below `target`; the same run gives the same bundle.

    `engine_base` is a GGUF file of the base: an adapter has a form for the embedded engine only with it, and a GGUF
    file is made only by it. `dtype` is that of a GGUF file; all else is in float32, as it was trained.

    Raises:
        NotExportableError: the run has no such form, or `base` is not what it was trained on.
        NoTemplateError: the base has no chat template.
    """
    folder = RunFolder(run)
    result = folder.result()
    if result is None:
        raise NotExportableError("it has no result yet")
    recipe = RECIPE.validate_json(folder.recipe.read_bytes())
    trained: dict[str, Any] = json.loads(folder.manifest.read_bytes())
    _check(recipe, form, base, trained)
    target.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="incoming-", dir=target))
    try:
        made.chmod(0o755)
        _copy(base, made, _TOKENIZER)
        shutil.copyfile(folder.manifest, made / "training.json")
        _write(made, run / result.folder, recipe, base=base, engine_base=engine_base, form=form, dtype=dtype)
        for path in made.iterdir():
            path.chmod(0o644)
        dtype = dtype if form is BundleForm.GGUF else "float32"
        return seal_bundle(made, _manifest(made, recipe, result, trained, form, dtype, engine_base, licence))
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _check(recipe: TrainRecipe, form: BundleForm, base: Path, trained: dict[str, Any]) -> None:
    if isinstance(recipe, Reward):
        raise NotExportableError("a reward model writes nothing")
    is_whole = isinstance(recipe, Full)
    if is_whole and form is BundleForm.ADAPTER:
        raise NotExportableError("`full` leaves no adapter")
    if form is not BundleForm.ADAPTER and isinstance(recipe, QLora):
        raise NotExportableError("it was trained beside four bits, and the whole base is another one")
    if form is not BundleForm.ADAPTER and not is_whole and not _is_low_rank(recipe):
        raise NotExportableError(f"`{recipe.method}` cannot be merged")
    if trained["base"] != digests_in(base):
        raise NotExportableError(f"`{base.name}` is not the base that it was trained on")
    if not (base / "chat_template.jinja").is_file():
        raise NoTemplateError


def _is_low_rank(recipe: TrainRecipe) -> bool:
    return hasattr(recipe, "rank")


def _write(
    made: Path,
    learnt: Path,
    recipe: TrainRecipe,
    *,
    base: Path,
    engine_base: Path | None,
    form: BundleForm,
    dtype: Dtype,
) -> None:
    if form is BundleForm.ADAPTER:
        _copy(learnt, made, _ADAPTER)
        _name_base(made / "adapter_config.json", base)
        if engine_base is not None and _is_low_rank(recipe):
            write_adapter(learnt, base, engine_base, made / ENGINE_ADAPTER)
    elif form is BundleForm.MERGED:
        _merge(learnt, base, made)
    else:
        if engine_base is None:
            raise NotExportableError("a GGUF file of its base is needed, for the tokens and sizes")
        with tempfile.TemporaryDirectory(prefix="merged-", dir=made.parent) as scratch:
            whole = Path(scratch)
            _copy(base, whole, _TOKENIZER)
            _merge(learnt, base, whole)
            write_model(whole, engine_base, made / ENGINE_MODEL, dtype)


def _name_base(configuration: Path, base: Path) -> None:
    """PEFT writes where the base lay on the machine that trained."""
    said: dict[str, Any] = json.loads(configuration.read_bytes())
    if "base_model_name_or_path" in said:
        said["base_model_name_or_path"] = base.name
        configuration.write_text(json.dumps(said, indent=1, sort_keys=True), "utf-8")


def _merge(learnt: Path, base: Path, target: Path) -> None:
    """Write the whole model in float32: an adapter is added to the weights, a whole model is copied."""
    if (learnt / "config.json").is_file():
        _copy(learnt, target, (*_MODEL, *(path.name for path in learnt.glob("*.safetensors*"))))
        return
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    merged: Any = PeftModel.from_pretrained(model, str(learnt)).merge_and_unload()
    merged.save_pretrained(target)


def _manifest(
    made: Path,
    recipe: TrainRecipe,
    result: Result,
    trained: dict[str, Any],
    form: BundleForm,
    dtype: Dtype,
    engine_base: Path | None,
    licence: str,
) -> BundleManifest:
    frozen, _ = thaw(recipe.dataset)
    files = digests_in(made)
    return BundleManifest(
        family=recipe.name,
        form=form,
        method=recipe.method,
        dtype=dtype,
        rank=getattr(recipe, "rank", None),
        base=trained["base"],
        engine_base=_sha256(engine_base) if engine_base is not None and ENGINE_ADAPTER in files else None,
        tokenizer=files["tokenizer.json"],
        chat_template=files["chat_template.jinja"],
        licence=licence,
        data_licences=sorted(frozen.card["licences"]),
        dataset=frozen.root,
        recipe=hashlib.sha256(json.dumps(trained["recipe"], sort_keys=True).encode()).hexdigest(),
        run=result.manifest,
        libraries=trained["libraries"],
        held_out=None if result.held_out is None else result.held_out.model_dump(mode="json"),
        files=files,
    )


def _copy(source: Path, target: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
