# Code generated from the contract: api/NAME.json -> gen/api/NAME.{h,c} and
# gen/api/NAME_client.h, by the host tool contractgen. One run writes all, since
# one table may refer to another's messages.

function(vx11_contract_generate)
    file(GLOB tool CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/contractgen/*.c)
    file(GLOB tables CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/api/*.json)
    if(NOT tool)
        return()
    endif()
    add_executable(contractgen ${tool})
    target_link_libraries(contractgen PRIVATE vx11_flags yyjson::yyjson)
    get_target_property(type vx11_contract TYPE)
    if(NOT tables OR type STREQUAL "INTERFACE_LIBRARY")
        return()
    endif()

    set(code)
    set(headers)
    foreach(table IN LISTS tables)
        get_filename_component(name ${table} NAME_WE)
        list(APPEND code ${VX11_GEN}/api/${name}.c)
        list(APPEND headers ${VX11_GEN}/api/${name}.h ${VX11_GEN}/api/${name}_client.h)
    endforeach()
    file(MAKE_DIRECTORY ${VX11_GEN}/api)
    # contractgen leaves a file alone that would not change, so that nothing is
    # compiled again: hence by-products of a stamp, which ninja looks at anew.
    set(stamp ${VX11_GEN}/api/stamp)
    add_custom_command(OUTPUT ${stamp} BYPRODUCTS ${code} ${headers}
        COMMAND contractgen --out ${VX11_GEN} ${tables}
        COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
        DEPENDS contractgen ${tables}
        COMMENT "Generating code from the contract" VERBATIM)
    add_custom_target(vx11_api DEPENDS ${stamp})
    target_sources(vx11_contract PRIVATE ${code} ${headers})
    add_dependencies(vx11_contract vx11_api)
endfunction()
