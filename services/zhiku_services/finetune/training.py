"""The child process of a run: `python -m zhiku_services.finetune.training FOLDER BASE`.

What is learnt of each example is what `encoding` says, which the linter shows; the trainers only compute. A run that is
started again goes on at its last checkpoint, with the same batches, noise and rate as if it had not been stopped.
"""

import fcntl
import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from datasets import Dataset
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptTuningConfig,
    TaskType,
)
from peft import prepare_model_for_kbit_training as _prepare_four_bits
from pydantic import TypeAdapter
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainerCallback,
    TrainerState,
    set_seed,
)
from transformers import BitsAndBytesConfig as _BitsAndBytes
from transformers.trainer import TRAINER_STATE_NAME
from trl.experimental.gkd import GKDConfig, GKDTrainer
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer
from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from zhiku_platform.errors import ZhikuError
from zhiku_services.finetune import bottleneck
from zhiku_services.finetune.datasets.examples import Example, Turn
from zhiku_services.finetune.datasets.freezing import thaw
from zhiku_services.finetune.datasets.splitting import split
from zhiku_services.finetune.encoding import Encoder
from zhiku_services.finetune.errors import NothingToTrainError
from zhiku_services.finetune.measuring import measure, measure_of
from zhiku_services.finetune.recipe import (
    RECIPE,
    Bottleneck,
    Dpo,
    Full,
    Gkd,
    Grpo,
    Kto,
    Lora,
    Prefix,
    Prompt,
    QLora,
    Reward,
    Rloo,
    TrainRecipe,
    served_on,
)
from zhiku_services.finetune.rewards import REWARDS
from zhiku_services.finetune.runs import CANCELLED, Event, Result, RunFolder
from zhiku_services.finetune.scores import Each, score

# Untyped in their packages.
bits_and_bytes: Any = _BitsAndBytes
prepare: Any = _prepare_four_bits

_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
_EACH = TypeAdapter(list[Each])


def train(path: Path, base: Path) -> int:
    """Train the base as the folder's recipe says; return the exit code."""
    folder = RunFolder(path)
    started = time.monotonic()

    def tell(kind: str, **more: Any) -> None:
        event = Event(kind=kind, at=round(time.monotonic() - started, 2), **more)
        with folder.events_file.open("ab") as file:
            file.write(event.model_dump_json(exclude_none=True).encode() + b"\n")

    try:
        return _train(folder, base, tell, started)
    except ZhikuError as error:
        tell("failed", detail=str(error))
        return 1
    except Exception as error:
        tell("failed", detail=f"{type(error).__name__}")
        raise


def _train(folder: RunFolder, base: Path, tell: Callable[..., None], started: float) -> int:
    recipe = RECIPE.validate_json(folder.recipe.read_bytes())
    set_seed(recipe.seed)
    frozen, examples = thaw(recipe.dataset)
    learnt, held_out = split(learnable(recipe, examples), recipe.held_out)
    manifest = write_manifest(folder, recipe, base, frozen.root)
    tell("started", detail=f"{len(learnt)} examples, {len(held_out)} held out")
    trainer = _trainer(recipe, base, learnt, folder)
    checkpoint = folder.last_checkpoint()
    measured = folder.path / "held_out_before.json"
    if held_out and not measured.is_file():
        measured.write_bytes(_EACH.dump_json(measure(recipe, trainer, held_out)))
    before = _EACH.validate_json(measured.read_bytes()) if measured.is_file() else []
    measured_by = measure_of(recipe)
    at_first = score(measured_by, before, before, seed=recipe.seed)
    tell("measured", step=0, held_out=None if at_first is None else at_first.before)
    telling = _Telling(tell, folder)
    trainer.add_callback(telling)
    # Measuring drew on chance; a run that goes on does not measure, and both must go the same way.
    set_seed(recipe.seed)
    if checkpoint is None or not _is_last(checkpoint):
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    else:
        # The trainer takes one step more before it asks whether it is at the end.
        trainer.state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        trainer._load_from_checkpoint(str(checkpoint))  # noqa: SLF001 - there is no other way in
    if telling.was_stopped:
        tell("cancelled", step=trainer.state.global_step)
        return CANCELLED
    compared = score(measured_by, before, measure(recipe, trainer, held_out), seed=recipe.seed)
    target = folder.path / ("model" if isinstance(recipe, Full) else "adapter")
    if isinstance(recipe, Bottleneck):
        bottleneck.save(trainer.model, target, recipe.width)
    else:
        trainer.save_model(str(target))
    result = Result(
        method=recipe.method,
        manifest=manifest,
        digest=weights_digest(target),
        folder=target.name,
        steps=trainer.state.global_step,
        seconds=round(time.monotonic() - started, 1),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        trained_parameters=sum(each.numel() for each in trainer.model.parameters() if each.requires_grad),
        loss=mean(logged["loss"] for logged in trainer.state.log_history if "loss" in logged),
        held_out=compared,
        served_on=served_on(recipe.method),
    )
    scratch = folder.result_file.with_suffix(".part")
    scratch.write_text(result.model_dump_json(indent=1), "utf-8")
    scratch.replace(folder.result_file)
    tell("done", step=result.steps, loss=result.loss, held_out=None if compared is None else compared.after)
    return 0


def _is_last(checkpoint: Path) -> bool:
    state = json.loads((checkpoint / TRAINER_STATE_NAME).read_bytes())
    return bool(state["global_step"] >= state["max_steps"])


def learnable(recipe: TrainRecipe, examples: Sequence[Example]) -> list[Example]:
    """All but the answers that people did not like, unless the method tells them apart from the others."""
    return [each for each in examples if each.is_good is not False or isinstance(recipe, Kto | Dpo | Reward)]


def write_manifest(folder: RunFolder, recipe: TrainRecipe, base: Path, root: str) -> str:
    """Write what decides the outcome, and return its digest: the same manifest is the same training."""
    content = {
        "recipe": {**recipe.model_dump(mode="json", exclude={"dataset", "base"}), "precision": precision_of(recipe)},
        "dataset": root,
        "base": {path.name: _sha256(path) for path in sorted(base.iterdir()) if path.is_file()},
        "libraries": {name: version(name) for name in _LIBRARIES},
    }
    encoded = json.dumps(content, sort_keys=True, indent=1).encode()
    folder.manifest.write_bytes(encoded)
    return hashlib.sha256(encoded).hexdigest()


def weights_digest(folder: Path) -> str:
    """The SHA-256, in hex, over the names and contents of the weights and their configuration."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.name.encode() + b"\0" + bytes.fromhex(_sha256(path)))
    return digest.hexdigest()


def precision_of(recipe: TrainRecipe) -> str:
    """What this machine trains in."""
    if recipe.precision != "auto":
        return recipe.precision
    can = torch.cpu.get_capabilities()
    multiplies = torch.cuda.is_available() or can.get("avx512_bf16") or can.get("amx_bf16")
    return "bfloat16" if multiplies else "float32"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _trainer(recipe: TrainRecipe, base: Path, learnt: list[Example], folder: RunFolder) -> Any:
    tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True)
    encoder = Encoder.at(base, max_tokens=recipe.max_tokens)
    common: dict[str, Any] = {
        "model": _model(recipe, base),
        "processing_class": tokenizer,
        "peft_config": _peft(recipe),
    }
    options: dict[str, Any] = {
        "output_dir": str(folder.checkpoints),
        "num_train_epochs": recipe.epochs,
        "max_steps": recipe.max_steps or -1,
        "per_device_train_batch_size": recipe.batch,
        "per_device_eval_batch_size": recipe.batch,
        "gradient_accumulation_steps": recipe.accumulation,
        "learning_rate": recipe.learning_rate,
        "warmup_steps": recipe.warmup,
        "lr_scheduler_type": "cosine",
        "save_steps": recipe.checkpoint_every,
        "save_total_limit": 2,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "bf16": precision_of(recipe) == "bfloat16",
        "activation_checkpointing": False,
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
    }
    if isinstance(recipe, Dpo):
        pairs = _pairs(recipe, learnt)
        dpo = DPOConfig(**options, beta=recipe.beta, max_length=recipe.max_tokens)
        return DPOTrainer(**common, args=dpo, train_dataset=Dataset.from_list(pairs))
    if isinstance(recipe, Kto):
        thumbs = [_thumb(example) for example in learnt if example.is_good is not None]
        if len({each["label"] for each in thumbs}) < 2:
            raise NothingToTrainError(recipe.method, "thumbs up and thumbs down")
        kto = KTOConfig(**options, beta=recipe.beta, max_length=recipe.max_tokens)
        return KTOTrainer(**common, args=kto, train_dataset=Dataset.from_list(thumbs))
    if isinstance(recipe, Reward):
        pairs = _pairs(recipe, learnt)
        rewarding = RewardConfig(**options, max_length=recipe.max_tokens)
        return RewardTrainer(**common, args=rewarding, train_dataset=Dataset.from_list(pairs))
    if isinstance(recipe, Gkd):
        return _learning_from_a_teacher(recipe, common, options, base, encoder, learnt)
    if isinstance(recipe, Grpo | Rloo):
        return _learning_from_tries(recipe, common, options, base, learnt)
    encoded = _encoded(encoder, learnt)
    if not encoded:
        raise NothingToTrainError(recipe.method, "answers")
    sft = SFTConfig(**options, max_length=None, packing=False, dataset_kwargs={"skip_prepare_dataset": True})
    return SFTTrainer(**common, args=sft, train_dataset=Dataset.from_list(encoded))


def _learning_from_a_teacher(
    recipe: Gkd, common: dict[str, Any], options: dict[str, Any], base: Path, encoder: Encoder, learnt: list[Example]
) -> Any:
    lessons: list[dict[str, Any]] = []
    for example in learnt:
        ids = encoder.encode(example).ids
        asked = len(encoder.prompt_ids(example.messages[:-1]))
        if asked < len(ids):
            mask = [int(place >= asked) for place in range(len(ids))]
            lessons.append({"prompt": example.prompt, "input_ids": ids, "completion_mask": mask})
    if not lessons:
        raise NothingToTrainError(recipe.method, "answers within `max_tokens`")
    gkd = GKDConfig(
        **options,
        max_length=recipe.max_tokens,
        lmbda=recipe.own_share,
        beta=recipe.beta,
        temperature=recipe.temperature,
        max_new_tokens=recipe.completion_tokens,
        remove_unused_columns=False,
    )
    return GKDTrainer(
        **common, teacher_model=_teacher(recipe.teacher, base), args=gkd, train_dataset=Dataset.from_list(lessons)
    )


def _teacher(folder: Path, base: Path) -> Any:
    """A whole model, or the base with an adapter."""
    if not (folder / "adapter_config.json").is_file():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    return PeftModel.from_pretrained(model, folder).merge_and_unload()


def _learning_from_tries(
    recipe: Grpo | Rloo, common: dict[str, Any], options: dict[str, Any], base: Path, learnt: Sequence[Example]
) -> Any:
    tries: dict[str, Any] = {
        **options,
        "num_generations": recipe.generations,
        "max_completion_length": recipe.completion_tokens,
        "temperature": recipe.temperature,
        "beta": recipe.beta,
    }
    asked = [{"prompt": _turns(example.messages[:-1]), "wanted": example.answer} for example in learnt]
    if not asked:
        raise NothingToTrainError(recipe.method, "questions")
    prompts = Dataset.from_list(asked)
    if isinstance(recipe, Grpo):
        judge = _Judge(recipe.reward)
        return GRPOTrainer(**common, reward_funcs=judge, args=GRPOConfig(**tries), train_dataset=prompts)
    judging = PeftModel.from_pretrained(_classifier(base), recipe.reward_model)
    return RLOOTrainer(
        **common,
        reward_funcs=judging,
        reward_processing_classes=common["processing_class"],
        args=RLOOConfig(**tries),
        train_dataset=prompts,
    )


class _Judge:
    """A reward of a program, as the trainer calls it."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self._reward = REWARDS[name]

    def __call__(self, completions: list[list[dict[str, str]]], wanted: list[str], **_: Any) -> list[float | None]:
        answers = [completion[-1]["content"] for completion in completions]
        return [self._reward(answer, right) for answer, right in zip(answers, wanted, strict=True)]


def _classifier(base: Path) -> Any:
    """The base with one number in place of words; it reads that of the last token that is no padding."""
    tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True)
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=1, dtype=torch.float32, local_files_only=True
    )
    model.config.pad_token_id = tokenizer.pad_token_id
    return model


def _pairs(recipe: TrainRecipe, examples: Sequence[Example]) -> list[dict[str, Any]]:
    pairs = [_pair(example) for example in examples if example.rejected is not None]
    if not pairs:
        raise NothingToTrainError(recipe.method, "pairs of a better and a worse answer")
    return pairs


def _encoded(encoder: Encoder, examples: Sequence[Example]) -> list[dict[str, list[int]]]:
    encoded = [encoder.encode(example) for example in examples]
    return [{"input_ids": each.ids, "labels": each.labels} for each in encoded if any(each.is_learnt)]


def _turns(turns: Sequence[Turn]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _pair(example: Example) -> dict[str, Any]:
    assert example.rejected is not None
    return {
        "prompt": _turns(example.messages[:-1]),
        "chosen": _turns(example.messages[-1:]),
        "rejected": _turns([example.rejected]),
    }


def _thumb(example: Example) -> dict[str, Any]:
    return {
        "prompt": _turns(example.messages[:-1]),
        "completion": _turns(example.messages[-1:]),
        "label": bool(example.is_good),
    }


def _model(recipe: TrainRecipe, base: Path) -> Any:
    if isinstance(recipe, Reward):
        return _classifier(base)
    # What is trained itself must hold small changes, which bfloat16 rounds away.
    whole = isinstance(recipe, Full) or precision_of(recipe) == "float32"
    options: dict[str, Any] = {"dtype": torch.float32 if whole else torch.bfloat16, "local_files_only": True}
    if not isinstance(recipe, QLora):
        model = AutoModelForCausalLM.from_pretrained(base, **options)
        if isinstance(recipe, Bottleneck):
            bottleneck.insert(model, recipe.width)
        return model
    four_bits = bits_and_bytes(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = AutoModelForCausalLM.from_pretrained(base, quantization_config=four_bits, **options)
    return prepare(model, use_gradient_checkpointing=False)


def _peft(recipe: TrainRecipe) -> PeftConfig | None:
    if isinstance(recipe, Lora | QLora | Gkd | Dpo | Kto | Reward | Grpo | Rloo):
        return LoraConfig(
            task_type=TaskType.SEQ_CLS if isinstance(recipe, Reward) else TaskType.CAUSAL_LM,
            modules_to_save=["score"] if isinstance(recipe, Reward) else None,
            r=recipe.rank,
            lora_alpha=recipe.alpha or 2 * recipe.rank,
            lora_dropout=recipe.dropout,
            target_modules="all-linear",
        )
    if isinstance(recipe, Prefix):
        return PrefixTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=recipe.virtual_tokens)
    if isinstance(recipe, Prompt):
        return PromptTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=recipe.virtual_tokens)
    return None


class _Telling(TrainerCallback):
    """Tells each step's loss, and ends the run where that was asked for, or where nobody is left to hear of it.

    `told` is arguments, state, control.
    """

    def __init__(self, tell: Callable[..., None], folder: RunFolder) -> None:
        self._tell = tell
        self._folder = folder
        self._parent = os.getppid()
        self.was_stopped = False

    def on_log(self, *told: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        state = told[1]
        if logs and "loss" in logs:
            told_now = {"loss": logs["loss"], "reward": logs.get("reward")}
            self._tell("step", step=state.global_step, of=state.max_steps, **told_now)

    def on_save(self, *told: Any, **_: Any) -> None:
        state = told[1]
        self._tell("checkpoint", step=state.global_step, of=state.max_steps)

    def on_step_end(self, *told: Any, **_: Any) -> None:
        control = told[2]
        self.was_stopped = self._folder.cancel_file.exists() or os.getppid() != self._parent
        if self.was_stopped:
            control.should_save = True
            control.should_training_stop = True


if __name__ == "__main__":
    os.umask(0o022)
    with (Path(sys.argv[1]) / "lock").open("w") as lock:
        # The process of a parent that has died may still be at its last step.
        fcntl.flock(lock, fcntl.LOCK_EX)
        sys.exit(train(Path(sys.argv[1]), Path(sys.argv[2])))
