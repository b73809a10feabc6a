"""Hugging Face Transformers. Facts: its documentation and `transformers/trainer.py`, 5.23."""

from __future__ import annotations

from flake8_detach.knowledge.frameworks._kinds import ANY, BATCH, Loop

TRAINER = Loop(
    name="Trainer",
    classes=frozenset(
        {
            "transformers.Trainer",
            "transformers.Seq2SeqTrainer",
            "transformers.trainer.Trainer",
            "transformers.trainer_seq2seq.Seq2SeqTrainer",
        }
    ),
    backwards="compute_loss",
    given={"compute_loss": (ANY, BATCH)},
    complete=True,
    index=0,
    reduces=True,
    own=("training_step",),
)
"""`compute_loss` returns the loss, or the loss and the outputs of the model; on several GPUs it is averaged."""
