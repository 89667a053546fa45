#!/bin/sh
# Every recipe of the attribution table, in small settings: the trained ones with several seeds.
#
#   sh experiments/table3/run.sh [DIR ...]
#
# DIR holds train/, test/ and perhaps test_B/, images of other generators of the same patients, which the
# fitted runs predict too; without a DIR, the two embedded benchmarks. The study of a DIR is called
# table3-NAME, after its folder. Run where runs/ may grow; finished runs are skipped.
#
# GANSFP   the command, politely: "nice -n 10 gansfp"; PYTHON likewise
# WORDS    of every run; "trainer=gpu networks.weights=lite" on a GPU, at the networks' own size
# SEEDS    of the trained recipes; VOTE_SEEDS of those with rounds of pseudo-labels
# GRID     full: 1782 with its 27 networks and two rounds (81 fits a seed), 1871 with its five (15);
#          small: three of each and one round (6 fits a seed each)
# STAGES   some of: baselines frozen learned votes rounds others
set -e
gansfp=${GANSFP:-gansfp}
python=${PYTHON:-python}
words=${WORDS:-networks.weights=lite networks.size=64}
seeds=${SEEDS:-0,1,2}
vote_seeds=${VOTE_SEEDS:-$seeds}
stages=${STAGES:-baselines frozen learned votes rounds others}
here=$(dirname "$0")

run() { # EXPERIMENTS OVERRIDES...
    experiments=$1
    shift
    $gansfp train -m "experiment=$experiments" "data.root=$root" "study=$study" $words "$@"
}

baselines() { # the nearest real image, which all others are compared with, and the best of our own
    run quickstart/attribution_distance,beyond/mosaic seed=0
}

frozen() { # features of networks that are not trained: nothing depends on a seed
    run table3/1267_mobilenetv2_svm,table3/1268_resnet50_svm,table3/1269_efficientnet_b0_svm,table3/1271_densenet121_svm seed=0
    run table3/1269_efficientnet_b0_svm method.classifier=kmeans,agglomerative method.matching=hungarian,none seed=0
    run table3/1268_resnet50_svm backbone@method.representation.backbone=resnet50 \
        method.representation.backbone.normalisation=imagenet seed=0
}

learned() {
    run table3/1396_siamese method.inference=centroid,average "seed=$seeds"
    run table3/1287_resnet18 method.inference=head,centroid,nearest "seed=$seeds"
    run beyond/finetuned_svm backbone@method.backbone=efficientnet_b0 "seed=$seeds"
    run table3/1425_efficientnet_b1 "seed=$seeds"
}

votes() { # its network b1 is run 1425, which is not fitted again
    run table3/1426_vote "seed=$seeds"
}

rounds() {
    if [ "${GRID:-small}" = full ]; then
        run table3/1871_pseudo_labels_b1,table3/1782_pseudo_labels "seed=$vote_seeds"
    else
        run table3/1871_pseudo_labels_b1 method.replicas=3 method.rounds=1 "seed=$vote_seeds"
        run table3/1782_pseudo_labels method.rounds=1 method.drop_worst=0 "seed=$vote_seeds" \
            'method.grid={method.lr:[1.0e-4],data.sampling.batch_size:[32]}'
    fi
}

others() { # test_B, without fitting anything
    $python "$here/others.py" "runs/$study" "$root" test_B
}

[ $# -gt 0 ] || set -- embedded:attribution/one_population embedded:attribution/mixed_regions
for root; do
    study=table3-$(basename "$root")
    for stage in $stages; do
        $stage
    done
done
