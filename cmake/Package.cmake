# Install rules, and the Debian package (./dev package).
#
#   bin/vx11                      the one command
#   lib/vx11/                     private: vx11-engine and the libraries Debian lacks
#   share/vx11/models/            the guide model (it is in the binary too)
#   share/vx11/browser/           the Playwright MCP server, when it was fetched
# The programs find lib/vx11 relative to themselves, so that the tree may be
# unpacked anywhere.

set(VX11_LIBEXEC lib/vx11)

if(TARGET vx11)
    set_target_properties(vx11 PROPERTIES INSTALL_RPATH "$ORIGIN/../${VX11_LIBEXEC}")
    install(TARGETS vx11 RUNTIME DESTINATION bin)
    # The command writes its own completions.
    foreach(pair bash-completion/completions/vx11|bash zsh/vendor-completions/_vx11|zsh
                 fish/vendor_completions.d/vx11.fish|fish)
        string(REGEX MATCH "^(.*)/([^/]*)\\|(.*)$" _ ${pair})
        install(CODE "
            file(MAKE_DIRECTORY \"${CMAKE_BINARY_DIR}/completion\")
            execute_process(COMMAND \"${CMAKE_BINARY_DIR}/vx11\" completion ${CMAKE_MATCH_3}
                OUTPUT_FILE \"${CMAKE_BINARY_DIR}/completion/${CMAKE_MATCH_2}\" COMMAND_ERROR_IS_FATAL ANY)
            file(INSTALL \"${CMAKE_BINARY_DIR}/completion/${CMAKE_MATCH_2}\"
                DESTINATION \"\${CMAKE_INSTALL_PREFIX}/share/${CMAKE_MATCH_1}\")")
    endforeach()
endif()
if(TARGET vx11-engine)
    set_target_properties(vx11-engine PROPERTIES INSTALL_RPATH "$ORIGIN")
    install(TARGETS vx11-engine RUNTIME DESTINATION ${VX11_LIBEXEC})
endif()

if(Llama_BUNDLED)
    # By their real names, which are what the linker recorded; the backends are
    # loaded by name at run time.
    file(GLOB libs ${Llama_LIBRARY_DIR}/libllama.v*.so ${Llama_LIBRARY_DIR}/libllama-common.so ${Llama_LIBRARY_DIR}/libggml*.so)
    list(FILTER libs EXCLUDE REGEX "/libggml-(cuda|vulkan)[.]so$") # of the machine that builds it
    foreach(lib IN LISTS libs)
        if(NOT IS_SYMLINK ${lib})
            install(FILES ${lib} DESTINATION ${VX11_LIBEXEC})
        endif()
    endforeach()
    install(FILES ${VX11_DEPS_DIR}/llama/LICENSE DESTINATION share/doc/vx11 RENAME llama.cpp-LICENSE)
endif()
if(Yyjson_BUNDLED)
    # The file that the soname link points to, under the soname.
    get_filename_component(dir ${Yyjson_LIBRARY} DIRECTORY)
    file(GLOB soname ${dir}/libyyjson.so.?)
    file(REAL_PATH ${soname} real)
    get_filename_component(soname ${soname} NAME)
    install(FILES ${real} DESTINATION ${VX11_LIBEXEC} RENAME ${soname})
endif()

foreach(model ${CMAKE_SOURCE_DIR}/models/guide/guide.gguf)
    if(EXISTS ${model})
        install(FILES ${model} DESTINATION share/vx11/models)
    endif()
endforeach()
if(EXISTS ${VX11_DEPS_DIR}/browser/node_modules/@playwright/mcp/cli.js)
    install(DIRECTORY ${VX11_DEPS_DIR}/browser/node_modules DESTINATION share/vx11/browser)
endif()
install(FILES deploy/systemd/vx11.service DESTINATION lib/systemd/system)
install(FILES deploy/systemd/vx11.sysusers DESTINATION lib/sysusers.d RENAME vx11.conf)
install(FILES cmake/deb/copyright DESTINATION share/doc/vx11)
foreach(doc README.md CHANGELOG.md LICENSE)
    if(EXISTS ${CMAKE_SOURCE_DIR}/${doc})
        install(FILES ${doc} DESTINATION share/doc/vx11)
    endif()
endforeach()
if(EXISTS ${CMAKE_SOURCE_DIR}/docs)
    install(DIRECTORY docs DESTINATION share/doc/vx11)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME vx11)
set(CPACK_PACKAGE_VENDOR "the VX11 authors")
set(CPACK_PACKAGE_CONTACT "the VX11 authors <vx11@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "local-first AI operations system")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "One front door for local and cloud models: an OpenAI-compatible gateway, a model
registry, engines on llama.cpp, and the command line that shows it all.")
set(CPACK_DEBIAN_PACKAGE_DEPENDS "passwd")
# For providers elsewhere, over TLS; around command-line tools and programs.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, bubblewrap")
# For the operator's browser.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "chromium, nodejs")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    "${CMAKE_SOURCE_DIR}/cmake/deb/postinst;${CMAKE_SOURCE_DIR}/cmake/deb/prerm;${CMAKE_SOURCE_DIR}/cmake/deb/postrm")
set(private)
if(Llama_BUNDLED)
    list(APPEND private ${Llama_LIBRARY_DIR})
endif()
if(Yyjson_BUNDLED)
    list(APPEND private ${dir})
endif()
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${private})
include(CPack)
