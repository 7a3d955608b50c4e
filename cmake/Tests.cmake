# Tests, by place:
#   tests/unit/ROOM/test_X.c       -> test_ROOM_X    label unit   (other .c files of the folder: helpers, in each)
#   tests/integration/test_X.c     -> itest_X        label integration, one at a time
#   tests/fuzz/fuzz_X.c            -> fuzz_X         fuzz profile only; corpus tests/fuzz/corpus/X
# Rooms whose code runs on several threads carry the label thread: the tsan
# build runs those.

enable_testing()
set(VX11_ROOMS base contract store net module link switch hermes operator engine supervisor cli)
set(VX11_THREADED store net engine)

set(VX11_TEST_ENV
    VX11_SRC=${CMAKE_SOURCE_DIR}
    VX11_BUILD=${CMAKE_BINARY_DIR}
    VX11_BIN=${CMAKE_BINARY_DIR}/vx11
    VX11_SYNTH=${CMAKE_BINARY_DIR}/bench/vx11-synth # writes models: see Bench.cmake
    VX11_FILL=${CMAKE_BINARY_DIR}/bench/vx11-fill # writes rows: see Bench.cmake
    VX11_WEEK=${CMAKE_BINARY_DIR}/bench/vx11-week
    ASAN_OPTIONS=abort_on_error=0:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0
    # What libggml, SQLite and the like do among themselves is built without the
    # sanitizer and looks like races: only our own accesses count.
    TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp:halt_on_error=1:second_deadlock_stack=1:ignore_noninstrumented_modules=1)

# The sanitizers make a test slower by about this much.
set(VX11_TEST_SLOWER 1)
if(VX11_PROFILE STREQUAL "asan")
    set(VX11_TEST_SLOWER 2)
elseif(VX11_PROFILE STREQUAL "tsan")
    set(VX11_TEST_SLOWER 5)
endif()

# `all` is the product; these are the tests.
add_custom_target(vx11_tests)        # every test executable
add_custom_target(vx11_tests_thread) # those that the tsan build runs

function(vx11_test NAME)
    cmake_parse_arguments(T "" "TIMEOUT" "SOURCES;ROOMS;LABELS" ${ARGN})
    list(TRANSFORM T_ROOMS PREPEND vx11_)
    add_executable(${NAME} EXCLUDE_FROM_ALL ${T_SOURCES})
    target_link_libraries(${NAME} PRIVATE vx11_flags ${T_ROOMS} PkgConfig::cmocka)
    # A test may reach into its own folder for its helpers.
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME ${NAME} COMMAND ${NAME} WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    math(EXPR timeout "${T_TIMEOUT} * ${VX11_TEST_SLOWER}")
    set_tests_properties(${NAME} PROPERTIES
        LABELS "${T_LABELS}" TIMEOUT ${timeout} ENVIRONMENT "${VX11_TEST_ENV}")
    add_dependencies(vx11_tests ${NAME})
    if("thread" IN_LIST T_LABELS)
        add_dependencies(vx11_tests_thread ${NAME})
    endif()
endfunction()

function(vx11_tests_unit ROOM)
    file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${ROOM}/test_*.c)
    file(GLOB helpers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${ROOM}/*.c)
    list(FILTER helpers EXCLUDE REGEX "/test_[^/]*\\.c$")
    if(ROOM STREQUAL "hermes")
        file(GLOB hub CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/hub/*.c)
        list(APPEND helpers ${hub} ${CMAKE_SOURCE_DIR}/tests/unit/net/script_server.c)
    endif()
    set(labels unit)
    if(ROOM IN_LIST VX11_THREADED)
        list(APPEND labels thread)
    endif()
    foreach(test IN LISTS tests)
        get_filename_component(name ${test} NAME_WE)
        string(REGEX REPLACE "^test_" "test_${ROOM}_" name ${name})
        vx11_test(${name} SOURCES ${test} ${helpers} ROOMS ${ROOM} LABELS ${labels} TIMEOUT 60)
        if(ROOM STREQUAL "hermes")
            target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/hub ${CMAKE_SOURCE_DIR}/tests/unit/net)
            target_link_libraries(${name} PRIVATE PkgConfig::sodium)
        endif()
        if(ROOM STREQUAL "engine")
            # ggml's threads spin while they wait for each other: nothing beside them, and time for those that
            # must share their cores all the same.
            math(EXPR timeout "180 * ${VX11_TEST_SLOWER}")
            set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE TIMEOUT ${timeout})
            add_dependencies(${name} vx11-synth)
        endif()
    endforeach()
endfunction()

function(vx11_tests_integration)
    file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/integration/test_*.c)
    file(GLOB helpers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/integration/*.c)
    list(FILTER helpers EXCLUDE REGEX "/test_[^/]*\\.c$")
    # Sockets and bytes on both ends, as net's own tests have them, and a hub of models.
    file(GLOB hub CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/hub/*.c)
    list(APPEND helpers ${hub} ${CMAKE_SOURCE_DIR}/tests/unit/net/raw_client.c
        ${CMAKE_SOURCE_DIR}/tests/unit/net/script_server.c
        ${CMAKE_SOURCE_DIR}/tests/unit/hermes/fake_server.c)
    foreach(test IN LISTS tests)
        get_filename_component(name ${test} NAME_WE)
        string(REGEX REPLACE "^test_" "itest_" name ${name})
        vx11_test(${name} SOURCES ${test} ${helpers} ROOMS module LABELS integration TIMEOUT 300)
        target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit/net ${CMAKE_SOURCE_DIR}/tests/hub ${CMAKE_SOURCE_DIR}/tests/unit/hermes)
        target_link_libraries(${name} PRIVATE PkgConfig::sodium)
        set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
        if(TARGET vx11)
            add_dependencies(${name} vx11)
        endif()
        if(TARGET vx11-engine)
            add_dependencies(${name} vx11-engine vx11-synth vx11-fill vx11-week)
        endif()
    endforeach()
endfunction()

function(vx11_tests_fuzz)
    file(GLOB targets CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
    set(rooms ${VX11_ROOMS})
    list(TRANSFORM rooms PREPEND vx11_)
    foreach(target IN LISTS targets)
        get_filename_component(name ${target} NAME_WE)
        add_executable(${name} EXCLUDE_FROM_ALL ${target})
        target_link_libraries(${name} PRIVATE vx11_flags ${rooms})
        # libFuzzer's entry point has no header.
        set_source_files_properties(${target} PROPERTIES COMPILE_OPTIONS -Wno-missing-prototypes)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
        add_dependencies(vx11_tests ${name})
    endforeach()
endfunction()

if(VX11_PROFILE STREQUAL "fuzz")
    vx11_tests_fuzz()
elseif(cmocka_FOUND)
    foreach(room IN LISTS VX11_ROOMS)
        vx11_tests_unit(${room})
    endforeach()
    vx11_tests_integration()
endif()
