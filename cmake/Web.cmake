# The page (web/), as static files in build/web/dist of the source tree: built once, whatever the preset, by
# tools/web/build.sh. ./dev runs it before each build; here it runs only where there is no page yet, so that a change
# under web/ costs a build of C nothing. `ninja web` runs it too.

set(VX11_WEB build/web/dist)
execute_process(COMMAND sh ${CMAKE_SOURCE_DIR}/tools/web/build.sh --check RESULT_VARIABLE stale)
if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${VX11_WEB}/index.html)
    execute_process(COMMAND sh ${CMAKE_SOURCE_DIR}/tools/web/build.sh RESULT_VARIABLE failed)
    if(failed)
        message(FATAL_ERROR "The page is not built, and could not be. Run ./dev build: it installs what that needs (node, npm).")
    endif()
elseif(stale)
    message(STATUS "The page in build/web is older than web/: `ninja web` or ./dev build makes it anew")
endif()
add_custom_target(web COMMAND sh ${CMAKE_SOURCE_DIR}/tools/web/build.sh VERBATIM)
