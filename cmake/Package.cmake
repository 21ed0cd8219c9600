# What find_package(shoal) finds. The libraries are static, so the private ones that shoal::sdk links
# are installed and exported beside it; only shoal::sdk is meant to be used.
include(CMakePackageConfigHelpers)

if(NOT TARGET shoal_sdk)
  message(WARNING "No package: shoal_sdk is missing")
  return()
endif()

set(SHOAL_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/shoal")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/sdk/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  COMPONENT sdk FILES_MATCHING PATTERN "*.h")
install(EXPORT shoalTargets NAMESPACE shoal:: DESTINATION "${SHOAL_PACKAGE_DIR}" COMPONENT sdk)
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/shoalConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/shoalConfig.cmake" INSTALL_DESTINATION "${SHOAL_PACKAGE_DIR}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/shoalConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/shoalConfig.cmake"
  "${PROJECT_BINARY_DIR}/shoalConfigVersion.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/ShoalDependencies.cmake"
  DESTINATION "${SHOAL_PACKAGE_DIR}" COMPONENT sdk)
