#!/bin/sh
# Every membership recipe that needs no shadow bank, on generators that know none of the real images.
#
#     sh experiments/null/run.sh null-1=ROOT null-2=ROOT ...
#
# The words of experiments/table2/run.sh (SCALE, JOBS, WORDS, ONLY, GANSFP) hold here too.
set -u
[ $# -gt 0 ] || { echo "usage: $0 null-1=ROOT..." >&2; exit 2; }

TRAINED='
beyond/experts_membership | | networks.size=64 trainer.max_epochs=2 | networks.size=128 trainer.max_epochs=10
quickstart/membership_siamese | | trainer.max_epochs=5 |
'
UNTRAINED='
beyond/encoder_autoencoded,beyond/encoder_noised
beyond/encoder_ssim,beyond/copy_ssim,beyond/copy_ms_ssim
beyond/discriminator_cnn,beyond/masked_patch
beyond/reference_generator,beyond/discriminator_generated,beyond/reference_rank
beyond/patches,beyond/patches_mean,beyond/copy_detection
beyond/discriminator_features,beyond/discriminator_forest
beyond/domias,beyond/gen_lra,beyond/dpi,beyond/lof_20,beyond/lof_pixels
beyond/count_median,beyond/count_percentile,beyond/nearest_features,beyond/nearest_ncc,beyond/nearest_pixels,quickstart/membership_distance
beyond/pool_ratio_16,beyond/pool_ratio_conformal,beyond/pool_ratio_features,beyond/pool_ratio_highpass,beyond/pool_ratio_labelled
beyond/pool_ratio_ncc,beyond/pool_ratio_pixels,beyond/pool_ratio_stage,beyond/reference_difference,beyond/reference_ratio_pixels
beyond/residual_distance,beyond/stack_borda,beyond/stack_logistic
beyond/vote_margin_labelled,beyond/vote_margin_pixels,beyond/vote_sum,beyond/vote_third
'
export TRAINED UNTRAINED
WORDS="${WORDS:-} evaluator.controls=none" exec sh "$(dirname "$0")/../table2/run.sh" "$@"
