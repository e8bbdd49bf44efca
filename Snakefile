# The door. Your own project can open it the same way, with its own config and rules beside it.


configfile: "config/config.yaml"


module uraniborg:
    snakefile:
        "workflow/Snakefile"
    config:
        config


use rule * from uraniborg
