"""Bundles of runs: what was trained answers alike as an adapter, merged, and as GGUF in the embedded engine."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zhiku_platform.access import Permission, authorize, service_principal
from zhiku_platform.bundles import Bundle, BundleChangedError, BundleForm, digests_in, open_bundle
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.inference import ModelInfo, ModelState
from zhiku_platform.errors import ZhikuError
from zhiku_platform.settings import Settings
from zhiku_platform.testing.chat_engine import answer, ask, text_of
from zhiku_services.finetune.datasets.cleaning import Cleaned
from zhiku_services.finetune.datasets.examples import Example, Provenance, Turn
from zhiku_services.finetune.datasets.freezing import freeze
from zhiku_services.finetune.errors import NotExportableError
from zhiku_services.finetune.exporting import export
from zhiku_services.finetune.recipe import RECIPE
from zhiku_services.finetune.runs import Result, RunFolder
from zhiku_services.inference.adapters import AdapterFolder
from zhiku_services.inference.chat_embedded import EmbeddedChat
from zhiku_services.inference.chat_models import ChatChoice, ChatModel
from zhiku_services.inference.errors import UnknownModelError
from zhiku_services.inference.service import list_models, open_models

pytestmark = [
    pytest.mark.slow,
    # PEFT calls what transformers has renamed.
    pytest.mark.filterwarnings("ignore:.*deprecated and will be removed in v6:FutureWarning"),
]

QUESTIONS = ("How long is a sabbatical?", "年假有几天？", "Six weeks?", "How", "十天。")
WORDS = 12

Left = Callable[..., Path]
Bundled = Callable[..., Bundle]


@pytest.fixture
def left(tmp_path: Path, base: Path) -> Left:
    """The folder that a run leaves, with an adapter of chance in the place of a learnt one."""

    def run(seed: int = 1, name: str = "style", **recipe: Any) -> Path:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        folder = RunFolder(tmp_path / f"run-{seed}")
        turns = (Turn(role="user", content="How long?"), Turn(role="assistant", content="Six weeks."))
        example = Example(messages=turns, provenance=Provenance(licence="CC-BY-4.0"))
        frozen = freeze(Cleaned(kept=[example]), tmp_path / "datasets")
        given = {"name": name, "method": "lora", "dataset": tmp_path / "datasets" / frozen.root, "rank": 4}
        folder.create(RECIPE.validate_python({**given, **recipe}))
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_pretrained(base)
        config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
        get_peft_model(model, config).save_pretrained(str(folder.path / "adapter"))
        manifest = {"recipe": {"seed": seed}, "dataset": frozen.root, "base": digests_in(base), "libraries": {}}
        folder.manifest.write_text(json.dumps(manifest))
        result = Result(
            method="lora", manifest=hashlib.sha256(folder.manifest.read_bytes()).hexdigest(), digest="0" * 64,
            folder="adapter", steps=1, seconds=1.0, peak_bytes=1, trained_parameters=1, loss=1.0, held_out=None,
            served_on=(),
        )  # fmt: skip
        folder.result_file.write_text(result.model_dump_json())
        return folder.path

    return run


@pytest.fixture
def bundled(tmp_path: Path, base: Path, engine_base: Path) -> Bundled:
    def make(run: Path, form: BundleForm = BundleForm.ADAPTER, **more: Any) -> Bundle:
        given: dict[str, Any] = {"base": base, "engine_base": engine_base, "dtype": "float32", "licence": "MIT"}
        return export(run, tmp_path / "bundles", form=form, **{**given, **more})

    return make


Engine = Callable[[Path], EmbeddedChat]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    def serve(file: Path) -> EmbeddedChat:
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        info = ModelInfo(
            id="tiny", role="chat", state=ModelState.LOADING, languages=[], origin="test", sha256=sha256,
            context_tokens=256,
        )  # fmt: skip
        choice = ChatChoice(info, lambda: ChatModel(file, info))
        return EmbeddedChat(choice, adapters=AdapterFolder(tmp_path / "bundles"))

    return serve


async def words(engine: EmbeddedChat, *models: str | None) -> list[list[str]]:
    """What it answers to each question, asked of every model in turn; then it is closed."""
    try:
        return [
            [text_of(await answer(engine, ask(question, max_tokens=WORDS, model=model))) for model in models]
            for question in QUESTIONS
        ]
    finally:
        await engine.close()


def words_of_transformers(folder: Path, adapter: Path | None = None) -> list[str]:
    """The same by the library that trained; `folder` has the tokenizer too."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    found: list[str] = []
    for question in QUESTIONS:
        asked = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        end = tokenizer.eos_token_id
        written = model.generate(**asked, max_new_tokens=WORDS, do_sample=False, pad_token_id=end)
        found.append(tokenizer.decode(written[0, asked["input_ids"].shape[1] :], skip_special_tokens=True))
    return found


def are_alike(told: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether all answers are the same but one, for the engine keeps in 16 bits what it has read, and to weights of
    chance many words are nearly as likely. What is no letter at the end of an answer it holds back.
    """
    same = [bool(answer) and right.startswith(answer) for answer, right in zip(told, wanted, strict=True)]
    return same.count(False) <= 1


def test_an_adapter_answers_in_the_engine_as_where_it_was_trained(
    left: Left, bundled: Bundled, engine: Engine, base: Path, engine_base: Path
) -> None:
    one, other = left(1, name="one"), left(2, name="other")
    wanted = [words_of_transformers(base, run / "adapter") for run in (one, other)]
    plain = words_of_transformers(base)
    names = [bundled(one).name, bundled(other).name]
    # In turn, so that each must read the prompt anew and none goes on with what another has read.
    told = asyncio.run(words(engine(engine_base), None, names[0], names[1], names[0], None, names[1]))
    found = list(zip(*told, strict=True))
    assert found[0] == found[4]
    assert found[1] == found[3]
    assert found[2] == found[5]
    assert are_alike(found[0], plain)
    assert are_alike(found[1], wanted[0])
    assert are_alike(found[2], wanted[1])
    assert len({*found}) == 3


def test_a_merged_model_and_its_file_answer_like_the_adapter(
    left: Left, bundled: Bundled, engine: Engine, base: Path
) -> None:
    run = left()
    wanted = words_of_transformers(base, run / "adapter")
    merged = bundled(run, BundleForm.MERGED)
    assert words_of_transformers(merged.folder) == wanted
    file = bundled(run, BundleForm.GGUF)
    assert are_alike([each[0] for each in asyncio.run(words(engine(file.folder / "model.gguf"), None))], wanted)


@pytest.mark.parametrize("dtype", ["float16", "q8_0"])
def test_a_file_is_smaller_in_fewer_bits(left: Left, bundled: Bundled, engine: Engine, dtype: str) -> None:
    run = left()
    whole, small = (bundled(run, BundleForm.GGUF, dtype=each).folder / "model.gguf" for each in ("float32", dtype))
    assert small.stat().st_size < 0.6 * whole.stat().st_size
    assert asyncio.run(words(engine(small), None))


def test_callers_of_several_adapters_at_once_each_get_their_own(
    left: Left, bundled: Bundled, engine: Engine, base: Path, engine_base: Path
) -> None:
    runs = [left(seed, name=f"a{seed}") for seed in (1, 2, 3)]
    wanted = [words_of_transformers(base, run / "adapter")[0] for run in runs]
    names = [bundled(run).name for run in runs]
    served = engine(engine_base)

    async def all_at_once() -> list[str]:
        asked = [answer(served, ask(QUESTIONS[0], max_tokens=WORDS, model=name)) for name in names * 2]
        try:
            return [text_of(deltas) for deltas in await asyncio.gather(*asked)]
        finally:
            await served.close()

    assert are_alike(asyncio.run(all_at_once()), wanted * 2)


def test_the_catalogue_lists_what_is_loaded(left: Left, bundled: Bundled, engine: Engine, engine_base: Path) -> None:
    bundle = bundled(left())
    served = engine(engine_base)

    async def listed() -> list[list[str]]:
        await answer(served, ask("How"))
        before = [each.id for each in served.adapters()]
        await answer(served, ask("How", model=bundle.name))
        after = [each.id for each in served.adapters()]
        await served.close()
        return [before, after]

    assert asyncio.run(listed()) == [[], [bundle.name]]


@pytest.mark.parametrize(
    ("principal", "sees"),
    [
        (Principal(sub="lin", tenant="acme", roles=frozenset({Role.ML_ENGINEER})), True),
        (service_principal("assistant", "acme"), True),
        (Principal(sub="zhao", tenant="acme", roles=frozenset({Role.EMPLOYEE, Role.KB_ADMIN})), False),
    ],
)
def test_who_does_not_train_is_told_of_no_adapter(
    left: Left, bundled: Bundled, engine: Engine, engine_base: Path, principal: Principal, sees: bool
) -> None:
    bundle = bundled(left())
    served = engine(engine_base)
    models = replace(open_models(Settings()), chat=served)

    async def listed() -> list[str]:
        await answer(served, ask("How", model=bundle.name))
        found = list_models(authorize(principal, Permission.MODEL_READ), models)
        await served.close()
        return [each.id for each in found.models]

    assert (bundle.name in asyncio.run(listed())) is sees


def refusal(served: EmbeddedChat, name: str) -> ZhikuError:
    async def asked() -> ZhikuError:
        with pytest.raises(ZhikuError) as refused:
            await answer(served, ask("How", model=name))
        # The base answers on.
        assert await answer(served, ask("How"))
        await served.close()
        return refused.value

    return asyncio.run(asked())


@pytest.mark.parametrize("name", ["style@00000000", "../../etc@00000000", "..", "no-such-model"])
def test_a_name_that_is_no_bundle_is_refused(engine: Engine, engine_base: Path, name: str) -> None:
    assert isinstance(refusal(engine(engine_base), name), UnknownModelError)


def test_an_adapter_that_was_changed_is_not_loaded(
    left: Left, bundled: Bundled, engine: Engine, engine_base: Path
) -> None:
    bundle = bundled(left())
    file = bundle.folder / "adapter.gguf"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert isinstance(refusal(engine(engine_base), bundle.name), BundleChangedError)


def test_an_adapter_of_another_base_is_not_loaded(
    left: Left, bundled: Bundled, engine: Engine, engine_base: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(engine_base.read_bytes() + b"\0")
    bundle = bundled(left(), engine_base=other)
    assert "another base" in str(refusal(engine(engine_base), bundle.name))


def test_the_same_run_gives_the_same_bundle(left: Left, bundled: Bundled) -> None:
    run = left()
    first = bundled(run)
    assert bundled(run) == first == open_bundle(first.folder)
    assert first.manifest.data_licences == ["CC-BY-4.0"]
    assert first.manifest.rank == 4


@pytest.mark.parametrize("form", BundleForm)
def test_a_base_that_it_was_not_trained_on_is_refused(
    left: Left, bundled: Bundled, base: Path, tmp_path: Path, form: BundleForm
) -> None:
    run = left()
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["base"]["model.safetensors"] = "0" * 64
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(NotExportableError, match="not the base"):
        bundled(run, form)
    assert list((tmp_path / "bundles").glob("*")) == [] or not (tmp_path / "bundles").exists()


def test_what_has_no_such_form_is_refused(left: Left, bundled: Bundled) -> None:
    run = left(method="qlora")
    with pytest.raises(NotExportableError, match="four bits"):
        bundled(run, BundleForm.MERGED)
    assert bundled(run).manifest.form is BundleForm.ADAPTER
    with pytest.raises(NotExportableError, match="GGUF file of its base"):
        bundled(left(2), BundleForm.GGUF, engine_base=None)
