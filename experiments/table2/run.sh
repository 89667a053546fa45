#!/bin/sh
# Every recipe of the membership table on the embedded benchmarks, in small settings.
# Run where runs/ may grow; finished runs are skipped. GANSFP="nice -n 10 gansfp" runs it politely.
gansfp=${GANSFP:-gansfp}

run() { # EXPERIMENTS OVERRIDES...
    experiments=$1
    shift
    $gansfp train -m "experiment=$experiments" "$@" networks.weights=lite seed=0 \
        "data.root=embedded:membership/$benchmark" "study=table2-$benchmark"
}

list() { # NAMES: a comma before each of them, with its folder
    printf 'table2/%s' "$1"
    shift
    printf ',table2/%s' "$@"
}

earlier=earlier/2023_texture_cdf,earlier/2023_vcmi_ssim_max,earlier/2023_vcmi_ssim_mean_sd,earlier/2023_vcmi_ssim_retrieval
classical=$(list 1288_medhastra 1288_medhastra_threshold 1330_cosine 1359_chosen \
    1359_max 1359_max062 1359_mean 1359_perceptron 1359_sigmoid 1359_top3 1427_jaccard \
    1776_centroids 1776_centroids_lbp 1778_cluster_vote 1779_kmeans 1880_spectral 1881_linear_forest)

for benchmark in ddpm_long null gan ddpm_short; do
    run "$classical,$earlier"
    run table2/1803_retrieval backbone@method.representation.backbone=lite0
done
learned() { # a list of recipes takes no method.* key, which not all of them have
    run "$(list 1355_cnn_ssim 1696_siamese)"
    run table2/1811_transfer 'method.experts=[resnet50]' networks.size=64
    for name in 1880_conv_autoencoder 1881_resnet_autoencoder; do
        run "table2/$name" method.size=64 trainer.max_epochs=5
    done
    run "$(list 1107_infonce 1160_twins 1169_moco_efficientnet 1875_moco)" networks.size=64 trainer.max_epochs=2
    for name in 1801_canet 1802_canet 1803_canet; do
        run "table2/$name" method.backbone=vit_tiny_patch16_224 trainer.max_epochs=1
    done
    run table2/1878_vit_autoencoder method.backbone=vit_tiny_patch16_224 method.size=64 trainer.max_epochs=2
    run table2/nn_dclgan trainer.max_epochs=1
    run table2/1140_moco_vit 'method.experts=[vit_tiny_patch16_224]' trainer.max_epochs=1
    run table2/1874_experts 'method.experts=[resnet50,efficientnet_b0,vit_tiny_patch16_224]' networks.size=64 trainer.max_epochs=1
}
for benchmark in ddpm_long null gan ddpm_short; do
    learned
done
for benchmark in ddpm_long null gan ddpm_short; do
    run table2/1355_map_ssim
done
