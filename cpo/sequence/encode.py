"""Tokens and pixels of one prompt or completion, made once and kept."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpo.errors import DataError
from cpo.records import ImageRef, Sample, Trajectory, fingerprint
from cpo.sequence.pixels import read_image
from cpo.sequence.positions import mrope_positions
from cpo.sequence.template import completion_text, prompt_messages


@dataclass(frozen=True)
class EncodedImage:
    """What the vision tower reads of one image.

    Args:
        key: Fingerprint of the reference: equal keys are the same image.
        patches: float32 [patches, channels · patch²·frames].
        grid: Patches in time, height, width.
    """

    key: str
    patches: NDArray[np.float32]
    grid: tuple[int, int, int]

    @cached_property
    def content(self) -> str:
        """32 hex digits of what the vision tower gets: equal on any machine, whatever file it came from."""
        digest = hashlib.sha256(json.dumps(self.grid).encode())
        digest.update(np.ascontiguousarray(self.patches).data)
        return digest.hexdigest()[:32]


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt as token ids, with its images and rotary positions [3, P]."""

    ids: tuple[int, ...]
    images: tuple[EncodedImage, ...]
    positions: NDArray[np.int64]

    @cached_property
    def next_position(self) -> int:
        """Rotary position of the first token after the prompt, the same on all three axes."""
        return int(self.positions.max()) + 1

    def key(self, completion: Sequence[int]) -> str:
        """32 hex digits of all that decides a completion's log-probs under a given policy: pixels, prompt, completion.

        Args:
            completion: Its token ids.
        """
        digest = hashlib.sha256(json.dumps([image.content for image in self.images]).encode())
        for part in (self.ids, completion):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(np.asarray(part, dtype="<i8").data)
        return digest.hexdigest()[:32]


class Encoder:
    """Turns prompts, images and completions into what a layout needs.

    Args:
        tokenizer: A Hugging Face tokenizer with Qwen's special tokens and a chat template.
        image_processor: A Hugging Face image processor of the Qwen2-VL family.
        cache_mb: Memory for processed images; the least recently used go first. Each loader worker has its own.
    """

    def __init__(self, tokenizer: Any, image_processor: Any, *, cache_mb: int = 1024) -> None:
        self.tokenizer, self.image_processor = tokenizer, image_processor
        self.image_token_id: int = tokenizer.convert_tokens_to_ids("<|image_pad|>")
        self.end_token_id: int = tokenizer.convert_tokens_to_ids("<|im_end|>")
        self.pad_token_id: int = tokenizer.pad_token_id
        self.merge: int = image_processor.merge_size
        self._forbidden = frozenset(
            tokenizer.convert_tokens_to_ids(["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"])
        )
        self._images: OrderedDict[str, EncodedImage] = OrderedDict()
        self._bytes, self._capacity = 0, cache_mb * 2**20
        self._tokens = lru_cache(maxsize=65_536)(self._tokenise)
        self._expanded = lru_cache(maxsize=16_384)(self._expand)

    @cached_property
    def fingerprint(self) -> str:
        """Of tokenizer, chat template and image processor: what encodes alike has the same."""
        tokenizer = self.tokenizer.backend_tokenizer.to_str()
        return fingerprint([tokenizer, self.tokenizer.chat_template, str(self.image_processor.to_json_string())])

    def image(self, ref: ImageRef) -> EncodedImage:
        """The processed image, from memory if it was seen before.

        Raises:
            DataError: The image cannot be read.
        """
        key = ref.fingerprint
        if key in self._images:
            self._images.move_to_end(key)
            return self._images[key]
        features = self.image_processor(images=[read_image(ref)], return_tensors="np")
        grid = tuple(int(n) for n in features["image_grid_thw"][0])
        encoded = EncodedImage(key, np.asarray(features["pixel_values"], dtype=np.float32), grid)  # type: ignore[arg-type]
        self._images[key] = encoded
        self._bytes += encoded.patches.nbytes
        while self._bytes > self._capacity and len(self._images) > 1:
            self._bytes -= self._images.popitem(last=False)[1].patches.nbytes
        return encoded

    def prompt(self, sample: Sample, images: tuple[ImageRef, ...] | None = None) -> EncodedPrompt:
        """The prompt of a sample, each image placeholder expanded to one token per merged patch.

        Args:
            sample: Gives text and, unless overridden, images.
            images: Other images in place of the sample's own (counterfactual perception).
        """
        return self.conversation(prompt_messages(sample), sample.images if images is None else images)

    def conversation(self, messages: Sequence[Mapping[str, Any]], images: Sequence[ImageRef]) -> EncodedPrompt:
        """Any conversation before a completion, as `prompt` makes it of a sample.

        Args:
            messages: Turns in Hugging Face's parts format.
            images: One for each image part, in order.

        Raises:
            DataError: Image parts and images differ in number.
        """
        encoded = tuple(self.image(ref) for ref in images)
        text = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        ids, positions = self._expanded(text, tuple(image.grid for image in encoded))
        return EncodedPrompt(ids, encoded, positions)

    def _expand(self, text: str, grids: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, ...], NDArray[np.int64]]:
        tokens = self._tokens(text)
        if tokens.count(self.image_token_id) != len(grids):
            raise DataError(
                got=f"a prompt with {tokens.count(self.image_token_id)} image placeholders and {len(grids)} images",
                wanted="one placeholder for each image",
                remedy="give the prompt one image part per image, and no <|image_pad|> in its text",
            )
        ids: list[int] = []
        left = iter(grids)
        for token in tokens:
            repeats = int(np.prod(next(left))) // self.merge**2 if token == self.image_token_id else 1
            ids.extend([token] * repeats)
        return tuple(ids), mrope_positions(ids, grids, image_token_id=self.image_token_id, merge=self.merge)

    def completion(self, trajectory: Trajectory) -> tuple[int, ...]:
        """Token ids of a trajectory as it is scored, tokenised alone, with the end token; see `text`."""
        return self.text(completion_text(trajectory))

    def text(self, text: str, *, end: bool = True) -> tuple[int, ...]:
        """Token ids of a completion, tokenised alone.

        Args:
            text: Literally what is scored.
            end: Score the end token behind it too.

        Raises:
            DataError: It is empty, or holds a vision token, which would ask the policy for an image that is not there.
        """
        ids = self._tokens(text)
        if not text.strip():
            raise DataError(
                got="an empty completion", wanted="some text to score", remedy="leave that record out, or mend its text"
            )
        if not self._forbidden.isdisjoint(ids):
            raise DataError(
                got="a completion with a vision token",
                wanted="plain text; images belong to the prompt",
                remedy="remove <|image_pad|> and its like from that record's text",
            )
        return (*ids, self.end_token_id) if end else ids

    def _tokenise(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
