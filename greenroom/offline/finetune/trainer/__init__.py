"""The process that trains: `python -m greenroom.offline.finetune.trainer FOLDER`.

What it is told and what it tells is in `greenroom/offline/finetune/plan.py`. Only this process imports torch.
"""
