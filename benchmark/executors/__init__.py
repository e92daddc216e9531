"""Where bundles of cells are computed: processes of this machine, a Ray cluster, Slurm jobs."""
