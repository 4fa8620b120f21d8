"""TRL's DPOTrainer on the pairs of a benchmark job; knows nothing of this project, so that any environment can run it.

Called by `preference_step` as `PYTHON peer_trl.py JOB SCRATCH`; its last line is JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import torch
from datasets import Dataset, Image, Sequence
from peft import LoraConfig
from torch.utils.data import SequentialSampler
from transformers import (
    AutoModelForImageTextToText,
    AutoTokenizer,
    ProcessorMixin,
    Qwen2VLImageProcessorPil,
    TrainerCallback,
)
from trl import DPOConfig, DPOTrainer


class ImageTextProcessor(ProcessorMixin):
    """Qwen2.5-VL's processor without its video part, which needs torchvision."""

    return_mm_token_type_ids = True

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **knobs: Any):
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

    def replace_image_token(self, image_inputs: Any, image_idx: int, **knobs: Any) -> str:
        merged = image_inputs["image_grid_thw"][image_idx].prod() // self.image_processor.merge_size**2
        return self.image_token * int(merged)

    @property
    def model_input_names(self) -> list[str]:
        return [*super().model_input_names, "mm_token_type_ids"]


class InOrder(DPOTrainer):
    """Takes the pairs in their order, as our stages do."""

    def _get_train_sampler(self, *arguments: Any, **knobs: Any) -> Any:
        return SequentialSampler(self.train_dataset)


class Clock(TrainerCallback):
    """Wall time from the first step's start to the last step's end, and what the first step said."""

    started, ended, first = 0.0, 0.0, None

    def on_train_begin(self, *arguments: Any, **knobs: Any) -> None:
        self.started = time.perf_counter()

    def on_train_end(self, *arguments: Any, **knobs: Any) -> None:
        self.ended = time.perf_counter()

    def on_log(self, arguments: Any, state: Any, control: Any, logs: Any = None, **knobs: Any) -> None:
        self.first = self.first or dict(logs)


def main() -> None:
    with open(sys.argv[1]) as file:
        job = json.load(file)
    tokenizer = AutoTokenizer.from_pretrained(job["directory"])
    # a turn ends in its end token, without the line break that would follow: the same tokens as ours are scored
    # (written as an expression: templates drop a line break that follows a block)
    turn = "<|im_end|>{% if not loop.last or message['role'] == 'user' %}{{ '\\n' }}{% endif %}{% endfor %}"
    template = tokenizer.chat_template.replace("<|im_end|>\n{% endfor %}", turn)
    assert template != tokenizer.chat_template
    tokenizer.chat_template = template
    side = job["image_size"] ** 2
    image_processor = Qwen2VLImageProcessorPil.from_pretrained(
        job["directory"], size={"shortest_edge": side, "longest_edge": side}
    )
    processor = ImageTextProcessor(image_processor, tokenizer, chat_template=template)
    model = AutoModelForImageTextToText.from_pretrained(
        job["directory"], dtype=torch.float32, attn_implementation="sdpa"
    )
    rows = [
        {
            "images": row["images"],
            "prompt": [{"role": "user", "content": row["text"]}],
            "chosen": [{"role": "assistant", "content": row["chosen"]}],
            "rejected": [{"role": "assistant", "content": row["rejected"][0]}],
        }
        for row in job["rows"]
    ]
    data = Dataset.from_list(rows).cast_column("images", Sequence(Image()))
    settings = DPOConfig(
        output_dir=sys.argv[2],
        per_device_train_batch_size=job["batch"],
        num_train_epochs=1,
        learning_rate=job["lr"],
        adam_beta1=job["betas"][0],
        adam_beta2=job["betas"][1],
        weight_decay=job["weight_decay"],
        max_grad_norm=job["clip_norm"],
        lr_scheduler_type="cosine",
        warmup_steps=0,
        beta=job["beta"],
        max_length=None,
        bf16=False,
        gradient_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=0,
    )
    lora = LoraConfig(
        r=job["lora"]["r"],
        lora_alpha=job["lora"]["alpha"],
        lora_dropout=0.0,
        target_modules=job["lora"]["target_modules"],
        task_type="CAUSAL_LM",
    )
    clock = Clock()
    trainer = InOrder(
        model=model,
        args=settings,
        train_dataset=data,
        processing_class=processor,
        peft_config=lora,
        callbacks=[clock],
    )
    trainer.train()
    rate = len(rows) / (clock.ended - clock.started)
    first = clock.first or {}
    print(
        json.dumps(
            {
                "cold": rate,
                "warm": rate,  # it keeps nothing that a second epoch could use
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "logps": [[float(first["logps/chosen"]), float(first["logps/rejected"])]],
            }
        )
    )


if __name__ == "__main__":
    main()
