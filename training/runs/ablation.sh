#!/usr/bin/env bash
# Trains every variant of ablation.toml by three seeds: ablation.sh DIR [SEED …], with the folder of MNIST's files, here
# 1 2 3 by default. A training that is finished is left as it is, so that the script can be given again after an
# interruption. A seed's lines go to ablation-SEED.jsonl, and `lrnet compare` makes the table in ../README.md of them.
set -euo pipefail
runs=$(cd "$(dirname "$0")" && pwd)
data=$1
seeds=("${@:2}")
[ ${#seeds[@]} -gt 0 ] || seeds=(1 2 3)
freezing='--set freezing.candidates=16 --set freezing.epochs=1'
variants=(
  ''
  '--set method="ste"'
  "$freezing"
  '--set signs.discrete=true'
  '--set distribution.sharpness=0'
  '--set distribution.final_entropy=0.10'
  '--set objective.label_smoothing=0.1'
  '--set objective.mixup=0.2'
  '--set objective.distillation=0.5'
  '--set augmentation.shift=0 --set augmentation.rotation=0 --set augmentation.scale=0 --set augmentation.shear=0'
)
for seed in "${seeds[@]}"; do
  for index in "${!variants[@]}"; do
    checkpoint=checkpoints/ablation-$index-$seed
    [ -e "$checkpoint/record.json" ] && continue
    # shellcheck disable=SC2086  # a variant is several words
    lrnet train "$runs/ablation.toml" --data "$data" --checkpoint "$checkpoint" --log "$runs/ablation-$seed.jsonl" \
      --threads 1 --compile --no-test ${variants[$index]} --set seed=$seed
  done
done
