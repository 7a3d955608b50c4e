/* Table: every check, as data. docs/doctor.md explains each by its id, and a test holds the two together. */
#include "cli/doctor/doctor.h"

#include <string.h>

#include "base/str.h"

#define GROUP(name) SUPERVISOR_DOCTOR_GROUP_##name
#define BLOCK       DOCTOR_BLOCK
#define WARN        DOCTOR_WARN
#define INFO        DOCTOR_INFO
#define LOOK        DOCTOR_LOOK
#define ASK         DOCTOR_ASK

/* clang-format off */
const struct doctor_check doctor_checks[] = {
    {"modules.supervisor", GROUP(MODULES), BLOCK, "the supervisor runs and answers", LOOK, check_supervisor, "vx11 up", NULL, false},
    {"modules.serving", GROUP(MODULES), BLOCK, "no module refuses work; link and switch are on", LOOK, check_serving, NULL, NULL, false},
    {"modules.off", GROUP(MODULES), WARN, "no module is switched off", LOOK, check_off, NULL, NULL, false},
    {"modules.process", GROUP(MODULES), BLOCK, "its process runs", LOOK, check_process, NULL, NULL, false},
    {"modules.health", GROUP(MODULES), BLOCK, "it answers on its socket and is well", ASK, check_health, NULL, NULL, false},
    {"modules.port", GROUP(MODULES), BLOCK, "it answers on its port, and asks for no token for /health", ASK, check_port_health, NULL, NULL, false},
    {"modules.refuses", GROUP(MODULES), BLOCK, "it refuses who has no token", ASK, check_refuses, NULL, NULL, false},
    {"modules.accepts", GROUP(MODULES), BLOCK, "it takes the owner's token", ASK, check_accepts, NULL, NULL, false},
    {"modules.version", GROUP(MODULES), WARN, "it runs this very program", LOOK, check_version, "vx11 down && vx11 up", NULL, false},

    {"database.open", GROUP(DATABASE), BLOCK, "the database is there and can be opened", LOOK, check_database_open, "vx11 db restore NAME", NULL, false},
    {"database.schema", GROUP(DATABASE), BLOCK, "its schema is this program's", LOOK, check_database_schema, "vx11 down && vx11 up", NULL, false},
    {"database.tables", GROUP(DATABASE), BLOCK, "the essential tables are there", LOOK, check_database_tables, "vx11 db restore NAME", NULL, false},
    {"database.write", GROUP(DATABASE), BLOCK, "it takes a row, and rolls it back", LOOK, check_database_write, "free the disk, or see vx11 db check", NULL, false},
    {"database.integrity", GROUP(DATABASE), BLOCK, "its pages are sound", LOOK, check_database_integrity, "vx11 db restore NAME", NULL, false},
    {"database.limit", GROUP(DATABASE), BLOCK, "it stays below store.max_bytes", LOOK, check_database_limit, "vx11 db maintain", NULL, false},
    {"database.size", GROUP(DATABASE), WARN, "it stays below store.warn_bytes", LOOK, check_database_size, "vx11 db maintain", NULL, false},
    {"database.wal", GROUP(DATABASE), WARN, "its write-ahead log is small", LOOK, check_database_wal, "vx11 doctor --fix", fix_wal, false},
    {"database.ledger", GROUP(DATABASE), BLOCK, "the ledger's chain is whole", LOOK, check_ledger, "vx11 ledger verify", NULL, false},
    {"database.maintenance", GROUP(DATABASE), WARN, "maintenance runs, and goes well", LOOK, check_maintenance, "vx11 db maintain", NULL, false},
    {"database.archives", GROUP(DATABASE), WARN, "the files of rows that left are there", LOOK, check_archives, "vx11 db archive verify", NULL, false},

    {"models.any", GROUP(MODELS), BLOCK, "a model can be used", LOOK, check_models_any, "vx11 models pull NAME, or vx11 models scan", NULL, false},
    {"models.file", GROUP(MODELS), BLOCK, "its file is there, as it was registered", LOOK, check_model_file, NULL, fix_scan, false},
    {"models.header", GROUP(MODELS), BLOCK, "its file is a model that can be loaded", LOOK, check_model_header, "pull it again: vx11 models pull NAME", NULL, false},
    {"models.hash", GROUP(MODELS), WARN, "its file is the one that was hashed", LOOK, check_model_hash, "vx11 models scan", fix_scan, false},
    {"models.loads", GROUP(MODELS), BLOCK, "Hermes loads it, and it generates", ASK, check_model_loads, "vx11 warmup", NULL, true},

    {"backup.fresh", GROUP(BACKUP), WARN, "there is a fresh backup that is whole", LOOK, check_backup_fresh, "vx11 db backup", fix_backup, false},
    {"backup.whole", GROUP(BACKUP), WARN, "every backup is verified", LOOK, check_backup_whole, "vx11 db verify --all", NULL, false},

    {"machine.disk", GROUP(MACHINE), BLOCK, "there is room on the disk", LOOK, check_disk, "free the disk that holds the home", NULL, false},
    {"machine.disk_margin", GROUP(MACHINE), WARN, "there is room on the disk for a while", LOOK, check_disk_margin, "free the disk that holds the home", NULL, false},
    {"machine.memory", GROUP(MACHINE), WARN, "there is memory", LOOK, check_memory, "vx11 models unload NAME", NULL, false},
    {"machine.descriptors", GROUP(MACHINE), WARN, "it has file descriptors left", LOOK, check_descriptors, NULL, NULL, false},
    {"machine.clock", GROUP(MACHINE), BLOCK, "the clock is right as far as can be told", LOOK, check_clock, "set the clock", NULL, false},
    {"machine.clock_sync", GROUP(MACHINE), INFO, "something keeps the clock in step", LOOK, check_clock_sync, "run a time service, such as systemd-timesyncd", NULL, false},

    {"logs.folder", GROUP(LOGS), BLOCK, "the folder of the logs can be written", LOOK, check_log_folder, "vx11 doctor --fix", fix_folders, false},
    {"logs.files", GROUP(LOGS), WARN, "its log is there", LOOK, check_log_files, "vx11 restart", NULL, false},

    {"queue.depth", GROUP(QUEUE), WARN, "few jobs wait", LOOK, check_queue_depth, "see GET /switch/queue/status", NULL, false},
    {"queue.age", GROUP(QUEUE), WARN, "no job waits for long", LOOK, check_queue_age, "see GET /switch/queue/status", NULL, false},

    {"crashes.processes", GROUP(CRASHES), WARN, "no process ended badly of late", LOOK, check_crash_runs, "vx11 logs --since 1h --level error", NULL, false},
    {"crashes.reports", GROUP(CRASHES), WARN, "there are no new crash reports", LOOK, check_crash_reports, "vx11 forensic list", NULL, false},

    {"ports.held", GROUP(PORTS), BLOCK, "the port is held by its module", LOOK, check_ports, NULL, NULL, false},

    {"permissions.home", GROUP(PERMISSIONS), BLOCK, "the home is the owner's alone", LOOK, check_permission_home, NULL, fix_permissions, false},
    {"permissions.database", GROUP(PERMISSIONS), BLOCK, "the database is the owner's alone", LOOK, check_permission_database, NULL, fix_permissions, false},
    {"permissions.secrets", GROUP(PERMISSIONS), BLOCK, "files with secrets are the owner's alone", LOOK, check_permission_secrets, NULL, fix_permissions, false},
    {"permissions.folders", GROUP(PERMISSIONS), WARN, "the folders are there, and the owner's alone", LOOK, check_permission_folders, NULL, fix_folders, false},
    {"permissions.leftovers", GROUP(PERMISSIONS), INFO, "dead processes left nothing behind", LOOK, check_leftovers, "vx11 doctor --fix", fix_leftovers, false},

    {"sidecars.browser", GROUP(SIDECARS), WARN, "the operator's browser is there", ASK, check_browser, "vx11 browse https://example.org tells what is missing; or operator.browser.mode: off", NULL, false},

    {"libraries.version", GROUP(LIBRARIES), WARN, "it is as new as the one VX11 was built with", LOOK, check_libraries, NULL, NULL, false},

    {"config.valid", GROUP(CONFIG), BLOCK, "the configuration is right", LOOK, check_config, "vx11 config check", NULL, false},
};
/* clang-format on */
const size_t doctor_check_count = COUNT_OF(doctor_checks);

const struct doctor_check *doctor_check_find(const char *id)
{
    for (size_t i = 0; i < doctor_check_count; i++)
        if (strcmp(doctor_checks[i].id, id) == 0)
            return &doctor_checks[i];
    return NULL;
}
