"""Training settings that all stages that train share."""

from typing import Annotated, Literal

from pydantic import Field

from compressionjob.field_types import Duration, NotNegative, Positive, Schema

Augmentation = Literal["flip", "shift"]
Precision = Literal["float32", "bfloat16"]


class Training(Schema):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2017, arXiv:1711.05101), warm-up and a cosine to zero."""

    epochs: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="Passes over the training data.")
    max_steps: Annotated[int, Field(ge=1, le=10_000_000)] | None = Field(
        default=None, description="Largest number of training steps."
    )
    time_limit: Duration | None = Field(
        default=None,
        description="Longest training time. If it ends the training, the result depends on the machine's speed.",
    )
    batch_size: Annotated[int, Field(ge=1, le=4096)] = Field(default=32, description="Samples in one step.")
    learning_rate: Positive = Field(default=0.001, description="Peak learning rate.")
    weight_decay: NotNegative = Field(default=0.0, description="Decoupled weight decay.")
    warmup: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=0, description="Steps in which the learning rate rises from zero."
    )
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(default=0, description="Seed of sample order and dropout.")
    precision: Precision = Field(
        default="float32",
        description="Type of matrix products in training. bfloat16 is faster where the CPU or GPU supports it "
        "(1.6 times on an EPYC with AVX-512 BF16); weights and the optimizer stay float32.",
    )
    augment: Annotated[list[Augmentation], Field(max_length=4)] = Field(
        default=[], description="Random changes of images: flip (left to right), shift (by up to two pixels)."
    )
    checkpoint_every: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=200,
        description="Steps between checkpoints within the stage; an interrupted run resumes from the last one.",
    )
