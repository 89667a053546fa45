"""The help texts of the console script."""

from __future__ import annotations

SUMMARY = {
    "inspect": "read a dataset, list what is there and every problem, draw a contact sheet",
    "train": "fit a method, predict, evaluate: one run folder, or a study with -m",
    "ensemble": "let finished runs vote: one more run folder",
    "predict": "prediction table and validated run.csv from a finished run",
    "score": "official metrics of a run file, one JSON object on stdout",
    "power": "what a test set of so many images can see",
    "forge": "train generators on real images and write a benchmark with known truth",
    "attack": "shadow attacks on every generator of a bank, with intervals over generators",
    "audit": "which patients does a synthetic set give away, with error rates",
    "report": "leaderboards of all runs below a folder, and a page of them",
    "status": "what waits, runs, has finished or failed below a folder",
    "reproduce": "the command that made a run, and what has changed since",
    "prefetch": "fetch the weights that runs will need, where there is a network",
    "probe": "a job that does next to nothing: try a machine or a cluster with it",
}

DETAILS = {
    "inspect": """\
usage: gansfp inspect [DIR] task=membership|attribution [key=value ...]

  data.root=DIR      holds train/ and test/ as in the ImageCLEF archives
  data.train_dir=DIR data.test_dir=DIR   the two parts, where they lie apart
  data.groups=CSV    file, group: slices of one patient share a group
  output=PNG         the contact sheet (default contact_sheet.png)

example: gansfp inspect ~/imageclef/2025 task=membership
""",
    "train": """\
usage: gansfp train [DIR] experiment=NAME [key=value ...]
       gansfp train -m experiment=A,B seed=0,1,2 [key=value ...]

  experiment=NAME    a recipe of conf/experiment, such as table2/1696_siamese
  data.root=DIR      the benchmark; data.train_dir, data.test_dir where they lie apart
  data.root=embedded:membership/ddpm_long  one that comes with gansfp; also ddpm_short, gan, null,
                     and embedded:attribution/one_population, mixed_regions
  task=... method=... decision=...   without a recipe: choose the parts yourself
  hydra/launcher=local|slurm   each run in processes of its own, here or on a cluster
  logger=wandb       also wandb_online, tensorboard, mlflow, or a list: logger=[wandb,mlflow]
  seed=0             seeds everything
  study=NAME         runs are written to runs/NAME/EXPERIMENT-sSEED-HASH
  force=true         move a finished run aside and start again
  trainer=ddp        two or more processes: trainer.devices=N
  truth=CSV          the test labels, where they are not at test/labels.csv
  method.KEY=... trainer.max_epochs=...  any value of the recipe

A finished run is skipped, an interrupted one resumed.
`gansfp train --cfg job experiment=NAME` prints the whole configuration.

example: gansfp train experiment=table2/1696_siamese data.root=~/imageclef/2025
""",
    "ensemble": """\
usage: gansfp ensemble RUNS data.root=DIR task=attribution [key=value ...]

  RUNS               every finished run of the task below this folder has one vote
  data.root=DIR      the benchmark of these runs; their data.fold, data.folds, data.split_seed too
  method.bar=0.98    only runs that are better than this on their held-out fold
  method.drop_worst=N

The result is a run as any other. An ensemble that runs its own members, locally or on a cluster, is
a recipe: `gansfp train experiment=table3/1426_vote`.

example: gansfp ensemble runs/mine data.root=~/imageclef/2025 task=attribution
""",
    "predict": """\
usage: gansfp predict RUN [data.root=DIR] [key=value ...]

  run=RUN            the folder of a finished run
  data.root=DIR      other images (default: those of the run)
  decision=NAME      another rule: best_kappa, fixed, median, conformal, argmax (default: the run's)
  output=DIR         where the table and run.csv go (default: RUN/submission)
  submission.header=true submission.extension=false submission.zip=true   form of run.csv

example: gansfp predict runs/default/table2-1696_siamese-s0-1a2b3c4d data.root=~/imageclef/2025
""",
    "score": """\
usage: gansfp score task=membership|attribution truth=CSV submission=CSV

Both files have two columns, id and label, with or without a header; ids with or without
extension or folder. Prints one JSON object.

example: gansfp score task=membership truth=test/labels.csv submission=run.csv
""",
    "forge": """\
usage: gansfp forge source.path=DIR benchmark=membership|attribution output=DIR [key=value ...]
       gansfp forge source.path=DIR bank=16 output=DIR [key=value ...]

  source.path=DIR    real images; source.groups=CSV names the patient of each file
  source=NAME        what DIR holds: folder (pictures), dicom, nifti, or medmnist (a file)
  source.slices=3 source.window=[-1000,400]   dicom and nifti: slices a volume, HU
  generator=ddpm|gan what is trained; generator.KEY=... any of its values
  benchmark=...      how many members, labelled, test and synthetic images
  bank=16            shadow generators on random halves of the patients (benchmark=bank)
  benchmark.train_on=outsiders benchmark.outsiders=N   null: the generator knows no member
  keep_networks=true keep the trained weights in networks/, for gansfp attack and white-box methods
  card.kid=false     leave the quality of the synthetic images out of card.json
  again=DIR          what the card.json of a benchmark says, once more; also embedded:...
  -m worker=0,1,2    several processes share the generators of one forge
  output=DIR         where the benchmark is written (train/, test/, labels, card.json)
  trainer.accelerator=gpu trainer.precision=bf16-mixed   on a GPU

Killed at any moment, the same command goes on where it was.

example: gansfp forge source.path=~/ct benchmark=membership output=benchmarks/ct
""",
    "power": """\
usage: gansfp power used=N unused=M [key=value ...]

  used=N unused=M    images of the test set that were used, and that were not; count patients where
                     they have several images
  kappa=0.1          with what probability is this effect seen, and how many images does it take?
  power=0.8          probability at which an effect counts as seen
  tests=20           methods that are tried on the same images

Exact for kappa, by the permutation test that leaderboards use; AUROC by a normal approximation.

example: gansfp power used=250 unused=250 kappa=0.1
""",
    "attack": """\
usage: gansfp attack BANK [key=value ...]

  BANK               what gansfp forge bank=16 wrote: K generators, each on half of the patients
  attacks=[nearest,pool_ratio,reference,lira_offline,lira_online,rmia_offline,rmia_online,learned]
  representation=pixels   what distances compare; also ncc, features, ...
  labelled=0.3       share of the patients whose truth the attacker knows
  exposure=reference the attack behind patients.csv and null_audits.csv
  ceilings.enabled=true   also white-box scores, 100 times the samples, all labels; needs a bank
                     that was forged with keep_networks=true
  output=DIR         where the tables go

Each generator is the target in turn, the others are its shadow generators; intervals are over
generators.

example: gansfp attack forged/bank output=attacks/bank
""",
    "audit": """\
usage: gansfp audit real=DIR synthetic=DIR [nonmembers=DIR] [key=value ...]

  real=DIR           the images that the generator was trained on
  synthetic=DIR      the images that are to be released
  nonmembers=DIR     comparable images that were not used; without them nothing can be tested
  groups=CSV         file, patient: of real and nonmembers; patients are then counted, not images
  q=0.05             expected share of wrong names among the patients called exposed, at most
  filter=true        choose which synthetic images not to release (kept.csv), audit the rest
  plan=true          exposure of smaller releases, with their quality (KID)
  canaries=CSV       marked images of real and nonmembers: how many of them are found?
  pictures=true      the page shows the exposed patients' images
  source=dicom       what real and nonmembers hold: folder (pictures), dicom, nifti
  source@synthetic_source=nifti   the same for synthetic
  resize=64          bring all images to one size
  attack.device=cuda on a GPU

Writes audit.json, audit.html and scores.parquet into runs/audit. Nothing leaves this machine.

example: gansfp audit real=~/ct/used synthetic=~/ct/generated nonmembers=~/ct/not_used
""",
    "report": """\
usage: gansfp report [DIR] [members=true] [output=FILE.html] [figures=true]

Reads every result below DIR (default: runs), prints a leaderboard for each task and writes
DIR/report.html, one file that opens without a network. Works while runs are still going and after
crashes. members=true also shows the runs that only vote in an ensemble; figures=true writes the
curves as PNG and SVG into a folder figures/ beside the page.

example: gansfp report runs/first
""",
    "status": """\
usage: gansfp status [DIR]

  DIR                a study, or all of them (default: runs)

Lists every run and every job below DIR: waiting, running (with progress and time left), finished,
failed, interrupted, and how often it was resumed; then the leaderboard so far. Asks SLURM about
its jobs where there is one. Works while jobs run, without their launcher, and after crashes.

example: gansfp status runs/first
""",
    "reproduce": """\
usage: gansfp reproduce RUN

Prints lines for a shell: the commit and its edits, packages whose version differs, and the command
that made the run, also where a sweep or a launcher did. Says whether the command still composes to
the run's configuration.

example: gansfp reproduce runs/default/table2-1696_siamese-s0-1a2b3c4d
""",
    "prefetch": """\
usage: gansfp prefetch [-m] experiment=NAME [key=value ...]

Takes what `gansfp train` takes, and loads the weights of every backbone once, so that runs without
a network find them. hydra/launcher=slurm does so by itself.

example: gansfp prefetch experiment=beyond/nearest_features
""",
    "probe": """\
usage: gansfp probe [-m] [key=value ...]

  steps=5 seconds=0.1   steps of work, and the length of one
  memory=0           MB that it holds
  fail=error|exit|kill|memory   how its first start ends, halfway; a second start goes on
  trainer.accelerator=gpu trainer.devices=1   what it asks a launcher for

Does what a run does, without torch and in a second: a run folder, progress, resume, a result.

example: gansfp probe -m hydra/launcher=local seed=0,1,2
""",
}


def overview() -> str:
    """Describe the console script: what `gansfp` and `gansfp --help` print."""
    width = max(map(len, SUMMARY))
    lines = [f"  {name:<{width}}  {text}" for name, text in SUMMARY.items()]
    return "\n".join(
        [
            "gansfp: do these synthetic medical images give away the patients they were made from?",
            "",
            "usage: gansfp COMMAND [PATH] [key=value ...]",
            "",
            *lines,
            "",
            "`gansfp COMMAND --help` explains a command; `--cfg job` prints its configuration.",
            "",
        ]
    )
