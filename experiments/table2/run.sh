#!/bin/sh
# Every recipe of the membership table, and of earlier editions, in settings that fit the machine.
#
#     sh experiments/table2/run.sh [STUDY=ROOT...]
#
# ROOT is a membership benchmark; without any, the four embedded ones. Run where runs/ may grow;
# finished runs are skipped. Environment:
#
#     SCALE   cpu (default), gpu, or debug: one step of each, to see that all runs
#     JOBS    processes at a time (default 1), on one device
#     WORDS   further words of every run: WORDS="trainer=gpu callbacks.progress=null"
#     ONLY    trained, untrained, or a recipe's name (default: all)
#     GANSFP  the command (default gansfp): GANSFP="nice -n 10 gansfp"
#     TRAINED, UNTRAINED  further recipes, in the form of the lists below
set -u

# Recipe | words at every scale | SCALE=cpu | SCALE=gpu; those that take longest first.
trained="${TRAINED:-}"'
table2/nn_dual_dclgan | data.sampling.batch_size=16 | method.width=16 method.steady_epochs=1 method.decay_epochs=1 trainer.max_epochs=2 | method.steady_epochs=6 method.decay_epochs=6 trainer.max_epochs=12
earlier/2023_relation_network | | method.size=64 method.partners=4 trainer.max_epochs=1 | method.size=128 trainer.max_epochs=8
table2/1874_experts | method.experts=[resnet50,efficientnet_b0,vit_tiny_patch16_224] data.sampling.batch_size=32 | networks.size=64 trainer.max_epochs=1 | networks.size=128 trainer.max_epochs=20
table2/nn_dclgan | | method.width=16 trainer.max_epochs=1 | method.cosine_epochs=20 trainer.max_epochs=20
table2/1881_resnet_autoencoder | | method.size=64 trainer.max_epochs=5 | trainer.max_epochs=25
table2/1140_moco_vit | method.experts=[vit_tiny_patch16_224] data.sampling.batch_size=32 | trainer.max_epochs=1 | trainer.max_epochs=20
table2/1875_moco | data.sampling.batch_size=32 | networks.size=64 trainer.max_epochs=2 | networks.size=128 trainer.max_epochs=20
table2/1169_moco_efficientnet | data.sampling.batch_size=32 | networks.size=64 trainer.max_epochs=2 | networks.size=128 trainer.max_epochs=20
table2/1880_conv_autoencoder | | method.size=64 trainer.max_epochs=5 | trainer.max_epochs=25
table2/1801_canet | | method.backbone=vit_tiny_patch16_224 trainer.max_epochs=1 | method.backbone=vit_small_patch16_224
table2/1802_canet | | method.backbone=vit_tiny_patch16_224 trainer.max_epochs=1 | method.backbone=vit_small_patch16_224
table2/1803_canet | | method.backbone=vit_tiny_patch16_224 trainer.max_epochs=1 | method.backbone=vit_small_patch16_224
table2/1107_infonce | | networks.size=64 trainer.max_epochs=2 | networks.size=128
table2/1160_twins | | networks.size=64 trainer.max_epochs=2 | networks.size=128
table2/1878_vit_autoencoder | | method.backbone=vit_tiny_patch16_224 method.size=64 trainer.max_epochs=2 |
table2/1355_map_ssim | | |
table2/1355_cnn_ssim | | |
table2/1696_siamese | | |
table2/1811_transfer | | networks.size=64 |
'

# Without training of their own: several to a process.
untrained="${UNTRAINED:-}"'
table2/1288_medhastra,table2/1288_medhastra_threshold,table2/1330_cosine,table2/1427_jaccard
table2/1359_chosen,table2/1359_max,table2/1359_max062,table2/1359_mean,table2/1359_perceptron,table2/1359_sigmoid,table2/1359_top3
table2/1776_centroids,table2/1776_centroids_lbp,table2/1778_cluster_vote,table2/1779_kmeans,table2/1803_retrieval,table2/1880_spectral
table2/1881_linear_forest,earlier/2023_texture_cdf
earlier/2023_vcmi_ssim_max,earlier/2023_vcmi_ssim_mean_sd,earlier/2023_vcmi_ssim_retrieval
'

[ $# -gt 0 ] || for name in ddpm_long ddpm_short gan null; do
    set -- "$@" "table2-$name=embedded:membership/$name"
done

case ${SCALE:-cpu} in
    cpu) column=3 more= ;;
    gpu) column=4 more= ;;
    debug) column=3 more='trainer.max_epochs=1 trainer.limit_train_batches=1 evaluator.controls=none data.sampling.batch_size=4' ;;
    *) echo "SCALE=$SCALE: choose cpu, gpu or debug" >&2 && exit 2 ;;
esac

lines() { # one line a process: the words of `gansfp train -m`
    { echo "$trained" | grep '|'; echo "$untrained" | grep ',' | sed 's/$/ | | |/'; } |
        case ${ONLY:-all} in
            all) cat ;;
            trained) grep -v ',.* | | |$' ;;
            untrained) grep ',.* | | |$' ;;
            *) grep "$ONLY " ;;
        esac |
        while IFS='|' read -r recipes always cpu gpu; do
            [ "$column" = 3 ] && own=$cpu || own=$gpu
            for place in "$@"; do
                echo "experiment=$(echo "$recipes" | tr -d ' ')" "$always" "$own" "$more" \
                    networks.weights=lite seed=0 "'study=${place%%=*}'" "'data.root=${place#*=}'"
            done
        done
}

# A run that fails stops no other one; xargs would stop at a killed one.
lines "$@" | xargs -L 1 -P "${JOBS:-1}" \
    sh -c "${GANSFP:-gansfp} train -m ${WORDS:-} \"\$@\" || echo \"failed: \$*\" >&2" sh
