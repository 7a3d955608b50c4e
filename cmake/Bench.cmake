# Programs of ./dev bench: the target `bench` builds them, nothing else does.
#   bench/NAME.c       -> bench/bench_NAME (a trailing _bench of NAME is dropped)
#   bench/common/*.c   -> linked into each
if(VX11_PROFILE STREQUAL "fuzz")
    return()
endif()

add_custom_target(bench)
file(GLOB bench_common CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/common/*.c)
file(GLOB bench_programs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*.c)
add_library(vx11_bench STATIC EXCLUDE_FROM_ALL ${bench_common})
target_include_directories(vx11_bench PUBLIC ${CMAKE_SOURCE_DIR}/bench)
target_link_libraries(vx11_bench PRIVATE vx11_flags PUBLIC vx11_net vx11_store)
foreach(program IN LISTS bench_programs)
    get_filename_component(name ${program} NAME_WE)
    string(REGEX REPLACE "_bench$" "" name ${name})
    add_executable(bench_${name} EXCLUDE_FROM_ALL ${program})
    target_link_libraries(bench_${name} PRIVATE vx11_flags vx11_bench m)
    set_target_properties(bench_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
    add_dependencies(bench bench_${name})
endforeach()

# Models of random weights, for the bench and the engine's tests.
file(GLOB synth_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/synth/*.c)
add_executable(vx11-synth EXCLUDE_FROM_ALL ${synth_sources})
target_link_libraries(vx11-synth PRIVATE vx11_flags vx11_base m)
set_target_properties(vx11-synth PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
add_dependencies(bench vx11-synth)

# Rows of years, for tests and measurements of the database's care.
add_executable(vx11-fill EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tools/fill/fill.c)
target_link_libraries(vx11-fill PRIVATE vx11_flags vx11_store PkgConfig::sqlite3 PkgConfig::sodium)
set_target_properties(vx11-fill PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
add_dependencies(bench vx11-fill)

# A week of traffic at an accelerated clock.
add_executable(vx11-week EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tools/week/week.c ${CMAKE_SOURCE_DIR}/tools/week/traffic.c)
target_link_libraries(vx11-week PRIVATE vx11_flags vx11_store)
set_target_properties(vx11-week PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
add_dependencies(bench vx11-week)
